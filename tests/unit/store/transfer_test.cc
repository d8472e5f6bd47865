// Goal:   objects travel between two daemons over gRPC without being copied on the way; hostile
//         bytes and requests get an error.
// Method: two stores, one server on a loopback port, everything posted runs on the test's thread.
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>

#include "base/prng.h"
#include "proto/node.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/secret.h"
#include "rpc/server.h"
#include "scheduling/wire.h"
#include "store/transfer/chunk_wire.h"
#include "store/transfer/grpc_chunk_source.h"
#include "store/transfer/pull_server.h"
#include "store_fixture.h"

namespace rayx::store {
namespace {

using namespace std::chrono_literals;

const ProcessId kOwner = ProcessId::Make(NodeNumber{1}, 1);
const ProcessId kReader = ProcessId::Make(NodeNumber{2}, 1);

std::string Flat(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  REQUIRE(buffer.Dump(&slices).ok());
  std::string text;
  for (const grpc::Slice& slice : slices) {
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return text;
}

// As a transport would deliver it: in pieces.
grpc::ByteBuffer InPieces(std::string_view bytes, size_t piece) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    const auto part = bytes.substr(at, piece);
    slices.emplace_back(part.data(), part.size());
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

TEST_CASE("Chunk wire: the bytes are those of the generated code, and the memory is let go") {
  for (const uint64_t offset : {uint64_t{0}, uint64_t{127}, kMiB * 5000}) {
    std::vector<std::byte> data(100'000);
    FillPattern(data, 3);
    auto keeper = std::make_shared<int>(1);
    std::string encoded;
    {
      const grpc::ByteBuffer buffer = EncodeChunk(offset, data, keeper);
      CHECK(keeper.use_count() == 2);
      encoded = Flat(buffer);
    }
    CHECK(keeper.use_count() == 1);
    proto::PullChunk message;
    message.set_offset(offset);
    message.set_data(data.data(), data.size());
    CHECK(encoded == message.SerializeAsString());
    for (const uint32_t node : {1u, 300u, UINT32_MAX}) message.add_copies(node);
    const std::vector<NodeNumber> copies{NodeNumber{1}, NodeNumber{300}, NodeNumber{UINT32_MAX}};
    CHECK(Flat(EncodeChunk(offset, data, nullptr, copies)) == message.SerializeAsString());
    encoded = message.SerializeAsString();

    for (const size_t piece : {size_t{1}, size_t{7}, size_t{8192}, encoded.size()}) {
      std::vector<std::byte> copy(data.size());
      auto buffer = InPieces(encoded, piece);
      const auto head = DecodeChunk(buffer, [&](uint64_t at, uint64_t bytes) {
        return at == offset && bytes == copy.size() ? std::span(copy) : std::span<std::byte>();
      });
      REQUIRE(head.ok());
      CHECK(head->offset == offset);
      CHECK(head->bytes == data.size());
      CHECK(copy == data);
      CHECK(head->copies == copies);
    }
  }
}

TEST_CASE("Chunk wire: an error message, and fields of a later version") {
  proto::PullChunk message;
  message.mutable_error()->set_code(6);
  message.mutable_error()->set_message("gone");
  std::string bytes = message.SerializeAsString();
  bytes += std::string("\xa2\x06\x03xyz", 6);  // field 100
  auto buffer = InPieces(bytes, 3);
  const auto head = DecodeChunk(buffer, [](uint64_t, uint64_t) { return std::span<std::byte>(); });
  REQUIRE(head.ok());
  REQUIRE(head->error.has_value());
  CHECK(head->error->message() == "gone");
}

TEST_CASE("Chunk wire: hostile bytes are refused and write nothing outside the place") {
  proto::PullChunk message;
  message.set_offset(4096);
  message.set_data(std::string(300, 'd'));
  message.add_copies(7);
  const std::string good = message.SerializeAsString();
  base::RandomStream random(7, 0, 0);
  std::vector<std::byte> memory(300 + 64);
  const auto place = [&](uint64_t, uint64_t bytes) {
    return bytes == 300 ? std::span(memory).subspan(32, 300) : std::span<std::byte>();
  };
  for (size_t length = 0; length < good.size(); ++length) {
    auto buffer = InPieces(std::string_view(good).substr(0, length), 16);
    const auto head = DecodeChunk(buffer, place);
    CHECK((!head.ok() || head->bytes == 0 || head->copies.empty()));
  }
  for (int i = 0; i < 20'000; ++i) {
    std::string bad = good;
    for (uint64_t flips = 1 + random.NextBelow(4); flips > 0; --flips) {
      // Mostly in the head, where the lengths are.
      const uint64_t at = random.NextBelow(random.NextBelow(4) == 0 ? bad.size() : 8);
      bad[at] = static_cast<char>(random.Next());
    }
    auto buffer = InPieces(bad, 1 + random.NextBelow(bad.size()));
    (void)DecodeChunk(buffer, place);
  }
  for (const size_t at : {size_t{0}, size_t{31}, size_t{332}, memory.size() - 1}) {
    CHECK(memory[at] == std::byte{0});
  }
}

struct TwoNodes {
  TwoNodes() : source([this](NodeNumber node) { return ChannelTo(node); }) {
    source.SetSelf(NodeNumber{2});
    rpc::ServerOptions options;
    options.credentials.token = token;
    server = std::make_unique<rpc::RpcServer>(options);
    // Everything runs on the test's thread, which waits in the second store's loop.
    pulls = std::make_unique<PullServer>(first.store, second.loop.Post());
    pulls->AddTo(*server);
    REQUIRE(server->Start().ok());
    rpc::ClusterCredentials credentials;
    credentials.token = token;
    channel = std::make_unique<rpc::RpcChannel>(server->address(), rpc::Role::kNode, credentials);
    REQUIRE(first.store.OpenJob(kJob).ok());
    REQUIRE(second.store.OpenJob(kJob).ok());
    REQUIRE(first.Attach(owner).ok());
    REQUIRE(second.Attach(reader).ok());
  }
  std::shared_ptr<grpc::Channel> ChannelTo(NodeNumber node) {
    ++fetches;
    return node == NodeNumber{1} ? channel->grpc_channel() : nullptr;
  }
  StoredLocation Put(uint64_t sequence, uint64_t bytes) {
    const Result granted = first.Allocate(kOwner, {kOwner, sequence}, bytes);
    REQUIRE(granted.ok());
    auto extent = owner.MapWritable(*granted);
    REQUIRE(extent.ok());
    FillPattern(extent->bytes(), sequence);
    REQUIRE(extent->Seal().ok());
    return *granted;
  }
  // One raw call, as a peer with a mind of its own would make it.
  grpc::Status Call(const proto::PullRequest& request, std::vector<proto::PullChunk>& chunks) {
    std::atomic<bool> is_done{false};
    grpc::Status status;
    std::thread caller([&] {
      const auto stub = proto::Node::NewStub(channel->grpc_channel());
      grpc::ClientContext context;
      context.set_deadline(std::chrono::system_clock::now() + 20s);
      const auto stream = stub->Pull(&context, request);
      proto::PullChunk chunk;
      while (stream->Read(&chunk)) chunks.push_back(chunk);
      status = stream->Finish();
      is_done = true;
      second.loop.Post()([] {});
    });
    CHECK(second.loop.RunUntil([&] { return is_done.load(); }));
    caller.join();
    return status;
  }

  const std::string token = rpc::RandomHex(rpc::kTokenBytes);
  int fetches = 0;  // begun by the second store
  StoreRig first{64 * kMiB, 1};
  std::unique_ptr<rpc::RpcServer> server;
  std::unique_ptr<PullServer> pulls;
  std::unique_ptr<rpc::RpcChannel> channel;
  GrpcChunkSource source;
  StoreRig second{64 * kMiB, 2, &source};
  shm::ClientSegments owner{kOwner};
  shm::ClientSegments reader{kReader};
};

// The transport lets go of the last pieces of an object a moment after they have arrived.
bool IsEmptySoon(StoreRig& rig) {
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  while (rig.store.used_bytes() > 0 && std::chrono::steady_clock::now() < deadline) {
    rig.store.Tick();
    std::this_thread::yield();
  }
  return rig.store.used_bytes() == 0;
}

TEST_CASE("Transfer: an object arrives over gRPC as it was written") {
  TwoNodes nodes;
  for (const uint64_t bytes : {kMiB / 8, kMiB, 20 * kMiB + 12'345}) {
    const StoredLocation at = nodes.Put(bytes, bytes);
    const Result copy = nodes.second.Pull(kReader, at);
    REQUIRE(copy.ok());
    const auto pinned = nodes.reader.Pin(*copy);
    REQUIRE(pinned.ok());
    CHECK(HasPattern(pinned->bytes(), bytes));
    nodes.first.store.Free(at, kOwner);
    REQUIRE(nodes.first.forwarded.size() == 1);
    CHECK(nodes.first.forwarded[0].first == NodeNumber{2});
    nodes.second.store.FreeCopy(nodes.first.forwarded[0].second);
    nodes.first.forwarded.clear();
    CHECK(IsEmptySoon(nodes.first));
  }
  nodes.second.store.Tick();
  CHECK(nodes.second.store.used_bytes() == 0);
}

TEST_CASE("Transfer: a third node takes parts from the second, which has a copy") {
  TwoNodes nodes;
  // The second node serves, too.
  rpc::ServerOptions options;
  options.credentials.token = nodes.token;
  rpc::RpcServer server(options);
  PullServer pulls(nodes.second.store, nodes.second.loop.Post());
  pulls.AddTo(server);
  REQUIRE(server.Start().ok());
  rpc::ClusterCredentials credentials;
  credentials.token = nodes.token;
  rpc::RpcChannel channel(server.address(), rpc::Role::kNode, credentials);
  std::map<NodeNumber, int> asked;
  GrpcChunkSource source([&](NodeNumber node) {
    ++asked[node];
    return node == NodeNumber{2} ? channel.grpc_channel() : nodes.ChannelTo(node);
  });
  source.SetSelf(NodeNumber{3});
  StoreRig third(64 * kMiB, 3, &source);
  const ProcessId process = ProcessId::Make(NodeNumber{3}, 1);
  shm::ClientSegments reader(process);
  REQUIRE(third.store.OpenJob(kJob).ok());
  REQUIRE(third.Attach(reader).ok());

  const StoredLocation at = nodes.Put(1, 40 * kMiB + 5);
  REQUIRE(nodes.second.Pull(kReader, at).ok());
  std::optional<Result> copy;
  third.store.Pull(process, 1, at, [&](Result answer) { copy.emplace(std::move(answer)); });
  // Two loops, one thread.
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!copy && std::chrono::steady_clock::now() < deadline) {
    third.loop.RunPosted();
    nodes.second.loop.RunPosted();
  }
  REQUIRE(copy.has_value());
  REQUIRE(copy->ok());
  {
    const auto pinned = reader.Pin(**copy);
    REQUIRE(pinned.ok());
    CHECK(HasPattern(pinned->bytes(), 1));
  }
  CHECK(asked[NodeNumber{1}] > 0);
  CHECK(asked[NodeNumber{2}] > 0);
  nodes.first.store.Free(at, kOwner);  // both are told
  REQUIRE(nodes.first.forwarded.size() == 2);
  third.store.FreeCopy(at);
  CHECK(IsEmptySoon(third));
  nodes.second.store.FreeCopy(at);
  CHECK(IsEmptySoon(nodes.second));
  pulls.Stop();
}

TEST_CASE("Transfer: what the source does not have is lost, at once") {
  TwoNodes nodes;
  StoredLocation at = nodes.Put(1, kMiB);
  at.generation += 1;
  const Result stale = nodes.second.Pull(kReader, at);
  CHECK(ErrorCodeOf(stale.status()) == ErrorCode::kObjectLost);
  CHECK_THAT(std::string(base::Message(stale.status())),
             Catch::Contains("not on this node any more"));
  at.generation -= 1;
  at.offset += kPageBytes;
  CHECK(ErrorCodeOf(nodes.second.Pull(kReader, at).status()) == ErrorCode::kObjectLost);
  CHECK(nodes.second.store.used_bytes() == 0);
}

TEST_CASE("Transfer: a peer's odd requests are answered") {
  TwoNodes nodes;
  const StoredLocation at = nodes.Put(1, 3 * kMiB + 1);
  proto::PullRequest request;
  *request.mutable_source() = scheduling::ToWire(at);
  request.set_node(2);
  std::vector<proto::PullChunk> chunks;
  SECTION("a range beyond the object") {
    request.set_offset(kMiB);
    request.set_bytes(3 * kMiB);
    CHECK(nodes.Call(request, chunks).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    request.set_offset(UINT64_MAX);
    CHECK(nodes.Call(request, chunks).error_code() == grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(chunks.empty());
  }
  SECTION("no bytes") {
    CHECK(nodes.Call(request, chunks).ok());
  }
  SECTION("another chunk size, from the middle") {
    request.set_offset(kMiB + 5);
    request.set_bytes(kMiB);
    request.set_chunk_bytes(1);
    CHECK(nodes.Call(request, chunks).ok());
    uint64_t next = kMiB + 5;
    for (const proto::PullChunk& chunk : chunks) {
      CHECK(chunk.offset() == next);
      CHECK(chunk.data().size() <= 4096);
      next += chunk.data().size();
    }
    CHECK(next == 2 * kMiB + 5);
  }
  SECTION("of another node") {
    request.mutable_source()->set_node(7);
    CHECK(nodes.Call(request, chunks).ok());
    REQUIRE(chunks.size() == 1);
    CHECK(chunks[0].error().code() == static_cast<int>(ErrorCode::kObjectLost));
  }
  SECTION("after the server of pulls has stopped") {
    nodes.pulls->Stop();
    request.set_bytes(1);
    CHECK(nodes.Call(request, chunks).error_code() == grpc::StatusCode::UNAVAILABLE);
  }
  nodes.first.store.Free(at, kOwner);
  CHECK(IsEmptySoon(nodes.first));
}

TEST_CASE("Transfer: an unknown node and a daemon that has gone end in ObjectLost") {
  TwoNodes nodes;
  StoredLocation at = nodes.Put(1, 30 * kMiB);
  std::string told;
  SECTION("unknown") {
    at.node = NodeNumber{9};
  }
  SECTION("gone") {
    nodes.server->Stop(0ms);
    told = "daemon does not answer";
  }
  std::optional<Result> result;
  nodes.second.store.Pull(kReader, 1, at, [&](Result answer) { result = answer; });
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!result && std::chrono::steady_clock::now() < deadline) {
    nodes.second.loop.RunPosted();
    if (nodes.second.store.Objects().empty()) continue;  // not yet granted
    // Not faster than time passes, until a second fetch shows that the first was answered: that
    // comes in the transport's own time.
    if (nodes.fetches < 2) std::this_thread::sleep_for(1ms);
    nodes.second.clock.Advance(1ms);
    nodes.second.store.Tick();
  }
  REQUIRE(result.has_value());
  CHECK(ErrorCodeOf(result->status()) == ErrorCode::kObjectLost);
  const std::string message(base::Message(result->status()));
  CHECK_THAT(message, Catch::Contains(told));
  for (const char* raw : {"ipv4:", "addresses", "UNKNOWN"}) {  // gRPC's own words
    CHECK_THAT(message, !Catch::Contains(raw));
  }
  CHECK(nodes.second.loop.RunUntil([&] { return nodes.second.store.used_bytes() == 0; }));
}

TEST_CASE("Transfer: a source and its fetches may end while bytes flow") {
  TwoNodes nodes;
  const StoredLocation at = nodes.Put(1, 40 * kMiB);
  bool is_answered = false;
  nodes.second.store.Pull(kReader, 1, at, [&](const Result& answer) {
    is_answered = true;
    CHECK(ErrorCodeOf(answer.status()) == ErrorCode::kCancelled);
  });
  REQUIRE(nodes.second.loop.RunUntil([&] { return !nodes.second.store.Objects().empty(); }));
  SECTION("the reading store first") {
    nodes.second.store.Stop();
    CHECK(is_answered);
  }
  SECTION("the waiter first") {
    nodes.second.store.CancelPull(kReader, 1);
  }
  SECTION("the serving store first") {
    nodes.pulls->Stop();
    nodes.first.store.Stop();
  }
}

}  // namespace
}  // namespace rayx::store
