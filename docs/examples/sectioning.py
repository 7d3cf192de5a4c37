"""Parallelisation: three checks at once, and a result also where one of them has failed.

statecore run sectioning:Sectioning --input '{"text": "The tide comes twice a day."}'
statecore run sectioning:Sectioning --input '{"text": "the tide comes twice a day"}'          # a remark
statecore run sectioning:Sectioning --input '{"text": "The tide, in \u4e09 words."}'          # one check fails
"""

import attrs

from statecore import Completed, Failed, Failure, Missing, Part, Plan, State, Workflow, any_state, specialist


@attrs.frozen
class Text:
    text: str


@attrs.frozen
class Remark:
    check: str
    found: str


@attrs.frozen
class Report:
    remarks: tuple[str, ...]
    unchecked: tuple[str, ...]


@attrs.frozen(auto_exc=False)
class NotLatin(Failure):
    why: str


@specialist("check_length", version="1", effect="pure")
async def check_length(text: Text) -> Remark:
    return Remark("length", "" if len(text.text) <= 60 else "too long")


@specialist("check_style", version="1", effect="pure")
async def check_style(text: Text) -> Remark:
    return Remark("style", "" if text.text[:1].isupper() else "begins with a small letter")


@specialist("check_spelling", version="1", effect="pure", fails=[NotLatin])
async def check_spelling(text: Text) -> Remark:
    if not text.text.isascii():
        raise NotLatin("the dictionary knows Latin letters only")
    return Remark("spelling", "")


def report(remarks: list[Remark], missing: list[Missing]) -> Report:
    found = tuple(f"{remark.check}: {remark.found}" for remark in remarks if remark.found)
    return Report(found, tuple(f"{part.part}: {part.why}" for part in missing))


def whole(report: Report) -> bool:
    return not report.unchecked


class Sectioning(Workflow[Text], version="1"):
    """Check a text in three ways at the same time."""

    checking = State(
        Plan(Part(check_length), Part(check_style), Part(check_spelling), assemble=report, on_failure="partial"),
        initial=True,
    )
    checked = State(final=True)
    partly = State(final=True, outcome="partial", says="what could not be checked is named in the report")
    failed = State(final=True, outcome="failed")

    all_done = checking.to(checked, on=Completed[Report], cond=whole)
    some_done = checking.to(partly, on=Completed[Report])
    gave_up = any_state.to(failed, on=Failed)
