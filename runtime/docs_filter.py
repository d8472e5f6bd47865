#!/usr/bin/env python3
"""docs_filter.py HEADER: a public header as Doxygen reads it (docs.cmake), line for line.

The headers have plain comments. One behind a declaration, or above it, belongs to it; one that ends
with a colon belongs to all up to an empty line or the next comment; one before an empty line to
nothing. Here they become Doxygen's, and the contract at the top becomes the page of the file. What
is there for RayX itself becomes empty lines. A field may do without a comment: its name says it.
"""

import re
import sys

# Of namespace detail: what a program meets under another name, or in its chain of Set...
SHOWN_OF_DETAIL = {"ActorDescription", "ActorState", "CallBuilder", "JobDescription",
                   "NodeDescription"}
DETAIL_BEGINS = re.compile(r"namespace (rayx::)?detail \{$")
DETAIL_ENDS = re.compile(r"\}  // namespace (rayx::)?detail$")
DECLARED = re.compile(r"(?:class|struct|enum class) (?:RAYX_PUBLIC )?(\w+)[^;]*\{")
# Without a comment: constructors from, and looks into, what lies beneath; friends; specialisations.
BENEATH = re.compile(r"  (explicit )?(\w+\(|const ).*detail::|  friend |struct [\w:]+<|"
                     r"#define RAYX_(\w*CONCAT|DECLARE_)")
ABOVE = ("//", "template ", "  //", "  template ")
COMMENT = re.compile(r"( {0,2})//(?: (.*))?$")
BEHIND = re.compile(r"(.*[;,}]) +// (?!namespace|NOLINT)(.*)$")
FAILURE = re.compile(r"RAYX_DECLARE_(?:FAILURE|KIND)\((\w+)(?:, (\w+))?\); +// (.*)$")
FIELD = re.compile(r"(?:  (?=\w)(?!using |return |static )[\w:<>, ]+[ *&]+\w+(?: = [^(]*|\{.*\})?;|"
                   r"(?:  )?using \w+ = .*;|inline constexpr .*;|enum class .*;)$")
ITEM = re.compile(r"([A-Z][a-z]+): +(.*)$")


def in_detail(lines):
    """Whether each line is part of namespace detail and of nothing that is shown of it."""
    inside = in_shown = False
    above = 0  # comment and template lines directly above
    hidden = []
    for line in lines:
        is_edge = DETAIL_BEGINS.match(line) or DETAIL_ENDS.match(line)
        declared = DECLARED.match(line)
        if is_edge:
            inside = line.startswith("namespace")
        elif inside and not in_shown and declared and declared[1] in SHOWN_OF_DETAIL:
            in_shown = True
            hidden[len(hidden) - above:] = [False] * above
        hidden.append(inside and not in_shown and not is_edge)
        in_shown = in_shown and not line.endswith("};")
        above = above + 1 if line.startswith(ABOVE) else 0
    return hidden


def beneath(lines):
    """Whether each line is one of BENEATH, up to the end of its declaration, or protected."""
    hidden = []
    in_declaration = in_protected = False
    before = ""
    for line in lines:
        if not in_declaration and BENEATH.match(line) and not COMMENT.match(before):
            in_declaration = True
            if before.startswith("template"):
                hidden[-1] = True
        in_protected = line == " protected:" or in_protected and line not in (" private:", "};")
        hidden.append(in_declaration or in_protected)
        is_outer = not line.startswith("   ")
        if line.endswith(("{}", " }")) or is_outer and line.endswith(("}", ";")):
            in_declaration = False
        before = line
    return hidden


def plain(text):
    """Comments are no HTML, and name what they name: std::tuple<A, B>, not a tag and a link."""
    return re.sub(r"(`[^`]*`)|([<>]|::)", lambda m: m[1] or "\\" + m[2], text)


def contract(lines):
    """The comment that a header opens with, as the page of the file."""
    in_items = in_code = False
    for number, line in enumerate(lines):
        text = line[3:]
        following = lines[number + 1][3:] if number + 1 < len(lines) else None
        item = ITEM.match(text)
        if number == 0:
            yield "/// @contract " + plain(text)
        elif not in_code and not text and following and following.startswith("  "):
            in_code = True
            yield "/// @code{.cpp}"
        elif in_code:
            in_code = following is not None and (not following or following.startswith("  "))
            yield "/// " + text + ("" if in_code else " @endcode")
        elif item:
            in_items = True
            yield f"/// - **{item[1]}:** {plain(item[2])}"
        else:
            in_items = in_items and text != ""
            yield ("///   " + plain(text.strip())) if in_items else ("/// " + plain(text))


def end_of_group(lines, first):
    """The last line of what the comment above the line `first` belongs to."""
    indent = re.match(" *", lines[first])[0]
    for number, line in enumerate(lines[first:], first):
        if not line or COMMENT.match(line) or not line.startswith(indent):
            return number - 1
    return len(lines) - 1


def with_comments(lines):
    """The lines after the contract."""
    behind = group_end = -1  # the line behind the last comment, the end of what it belongs to
    for number, line in enumerate(lines):
        comment = COMMENT.match(line)
        failure = FAILURE.match(line)
        trailing = BEHIND.match(line)
        opening = ""
        if comment and number > behind:
            behind = number
            while COMMENT.match(lines[behind]):
                behind += 1
            if lines[behind - 1].endswith(":"):
                opening = "/**@{*/ "
                group_end = end_of_group(lines, behind)
        if comment:
            slashes = "///" if lines[behind] else "//"
            line = f"{comment[1]}{opening}{slashes} {plain(comment[2] or '')}"
        elif failure:
            base = failure[2] or "Failure"
            line = f"/** {failure[3]} */ class {failure[1]} : public {base} {{}};"
        elif trailing:
            line = f"{trailing[1]}  ///< {plain(trailing[2])}"
        elif FIELD.match(line) and not COMMENT.match(lines[number - 1]):
            line += "  ///< &zwj;"  # a comment that shows nothing
        yield line + ("  /**@}*/" if number == group_end else "")


def filtered(text):
    lines = text.splitlines()
    top = next(number for number, line in enumerate(lines) if not line.startswith("//"))
    yield from contract(lines[:top])
    rest = lines[top:]
    hidden = [a or b for a, b in zip(in_detail(rest), beneath(rest))]
    yield from with_comments(["" if h else line for h, line in zip(hidden, rest)])


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        print("\n".join(filtered(file.read())))


if __name__ == "__main__":
    main()
