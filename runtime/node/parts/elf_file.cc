#include "node/parts/elf_file.h"

#include <elf.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "base/read_at.h"
#include "node/parts/sha256.h"

namespace rayx::node {
namespace {

constexpr size_t kSegmentsMax = 128;
constexpr uint64_t kTableBytesMax = 64 * 1024;
constexpr size_t kRpathBytesMax = 4096;
constexpr size_t kBuildIdBytesMax = 64;

template <typename T>
std::optional<T> At(const std::string& data, uint64_t offset) {
  if (offset > data.size() || data.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, data.data() + offset, sizeof value);
  return value;
}

std::vector<Elf64_Phdr> Segments(int fd) {
  const std::string start = base::ReadAt(fd, 0, sizeof(Elf64_Ehdr));
  const auto header = At<Elf64_Ehdr>(start, 0);
  if (!header || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
      header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > kSegmentsMax) {
    return {};
  }
  const std::string table = base::ReadAt(fd, header->e_phoff, header->e_phnum * sizeof(Elf64_Phdr));
  std::vector<Elf64_Phdr> segments;
  for (size_t i = 0; i < header->e_phnum; ++i) {
    const auto segment = At<Elf64_Phdr>(table, i * sizeof(Elf64_Phdr));
    if (!segment) return {};
    segments.push_back(*segment);
  }
  return segments;
}

std::string Contents(int fd, const Elf64_Phdr& segment) {
  return base::ReadAt(fd, segment.p_offset, std::min<uint64_t>(segment.p_filesz, kTableBytesMax));
}

uint64_t Padded(uint64_t bytes, uint64_t align) {
  return (bytes + align - 1) / align * align;
}

std::string BuildIdIn(const std::string& notes, uint64_t align) {
  uint64_t at = 0;
  while (const auto note = At<Elf64_Nhdr>(notes, at)) {
    const uint64_t name = at + sizeof(Elf64_Nhdr);
    const uint64_t text = at + Padded(sizeof(Elf64_Nhdr) + note->n_namesz, align);
    if (text > notes.size() || notes.size() - text < note->n_descsz) return "";
    const bool is_gnu = note->n_namesz == sizeof ELF_NOTE_GNU &&
                        notes.compare(name, sizeof ELF_NOTE_GNU,
                                      std::string(ELF_NOTE_GNU, sizeof ELF_NOTE_GNU)) == 0;
    if (is_gnu && note->n_type == NT_GNU_BUILD_ID && note->n_descsz > 0 &&
        note->n_descsz <= kBuildIdBytesMax) {
      return ToHex(notes.substr(text, note->n_descsz));
    }
    at = text + Padded(note->n_descsz, align);
  }
  return "";
}

// Where an address of the loaded image lies in the file.
std::optional<uint64_t> OffsetOf(const std::vector<Elf64_Phdr>& segments, uint64_t address) {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz) {
      return segment.p_offset + (address - segment.p_vaddr);
    }
  }
  return std::nullopt;
}

std::string RpathIn(int fd, const std::vector<Elf64_Phdr>& segments, const std::string& dynamic) {
  std::optional<uint64_t> strings, rpath;
  for (size_t i = 0;; ++i) {
    const auto entry = At<Elf64_Dyn>(dynamic, i * sizeof(Elf64_Dyn));
    if (!entry || entry->d_tag == DT_NULL) break;
    if (entry->d_tag == DT_STRTAB) strings = entry->d_un.d_ptr;
    if (entry->d_tag == DT_RPATH) rpath = entry->d_un.d_val;
    if (entry->d_tag == DT_RUNPATH) return "";
  }
  if (!strings || !rpath) return "";
  const auto offset = OffsetOf(segments, *strings + *rpath);
  if (!offset) return "";
  const std::string text = base::ReadAt(fd, *offset, kRpathBytesMax);
  return text.substr(0, text.find('\0'));
}

}  // namespace

ElfFacts ReadElf(int fd) {
  ElfFacts facts;
  const std::vector<Elf64_Phdr> segments = Segments(fd);
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type == PT_NOTE && facts.build_id.empty()) {
      facts.build_id = BuildIdIn(Contents(fd, segment), segment.p_align == 8 ? 8 : 4);
    } else if (segment.p_type == PT_DYNAMIC) {
      facts.rpath = RpathIn(fd, segments, Contents(fd, segment));
    }
  }
  return facts;
}

}  // namespace rayx::node
