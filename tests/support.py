"""A user's module: the workflow that the documentation is about, as its author would write it."""

from typing import Literal

import attrs

from statecore import Completed, Failed, Failure, State, Transient, Workflow, any_state, specialist
from statecore.guard import Pass, Question, Refuse, Verdict
from statecore.ledger import Ledger


@attrs.frozen
class Ticket:
    subject: str
    body: str


@attrs.frozen
class Triage:
    topic: Literal["billing", "bug", "other"]
    confidence: float


@attrs.frozen
class ReplyRequest:
    ticket: Ticket
    topic: str
    remarks: str


@attrs.frozen
class Draft:
    text: str


@attrs.frozen
class Review:
    ok: bool
    remarks: str


@attrs.frozen
class SendReply:
    subject: str
    text: str


@attrs.frozen
class Receipt:
    id: str


@attrs.frozen(auto_exc=False)
class Untranslatable(Failure):
    why: str


@attrs.frozen(auto_exc=False)
class LowConfidence(Failure):
    confidence: float


@attrs.frozen
class Confidence:
    """Refuses a triage that is less sure than `least`."""

    least: float
    name: str = "confidence"
    side: Literal["before", "after"] = "after"
    fails: tuple[type[Failure], ...] = (LowConfidence,)

    def ask(self, question: Question[Triage], ledger: Ledger) -> Verdict:
        found = question.value.confidence
        return Pass() if found >= self.least else Refuse(f"{found} is below {self.least}", LowConfidence(found))


@attrs.frozen
class NoTodo:
    """Refuses a draft that somebody meant to finish."""

    name: str = "no_todo"
    side: Literal["before", "after"] = "after"
    fails: tuple[type[Failure], ...] = ()

    def ask(self, question: Question[Draft], ledger: Ledger) -> Verdict:
        return Refuse("there is a TODO left in it") if "TODO" in question.value.text else Pass()


@specialist("triage", version="3", effect="pure", fails=[Transient])
async def triage(ticket: Ticket) -> Triage:
    return Triage("billing" if "invoice" in ticket.body else "bug", 0.9 if ticket.body else 0.5)


@specialist("write_reply", version="1", effect="pure", fails=[Untranslatable])
async def write_reply(request: ReplyRequest) -> Draft:
    return Draft(f"About your {request.topic}: {request.ticket.subject}{request.remarks}")


@specialist("backup_writer", version="1", effect="pure")
def backup_writer(request: ReplyRequest) -> Draft:
    return Draft(f"We have read your message about {request.topic}")


@specialist("critic", version="1", effect="pure")
async def critic(draft: Draft) -> Review:
    return Review(bool(draft.text), "" if draft.text else "there is nothing in it")


@specialist("send_reply", version="1")
async def send_reply(reply: SendReply) -> Receipt:
    return Receipt(f"sent:{reply.subject}")


def reply_request(ticket: Ticket, triage: Triage, review: Review | None) -> ReplyRequest:
    return ReplyRequest(ticket, triage.topic, review.remarks if review else "")


def reply_to_send(ticket: Ticket, draft: Draft) -> SendReply:
    return SendReply(ticket.subject, draft.text)


def confident(triage: Triage) -> bool:
    return triage.confidence >= 0.7


def approved(review: Review) -> bool:
    return review.ok


class SupportTicket(Workflow[Ticket], version="2"):
    """Answer a customer's ticket; a person clicks before anything is sent."""

    triaging = State(triage, initial=True, attempts=3, guards=[Confidence(0.3)], says="finding out what it is about")
    drafting = State(write_reply, give=reply_request, fallback=[backup_writer], guards=[NoTodo()])
    reviewing = State(critic)
    sending = State(send_reply, give=reply_to_send)
    sent = State(final=True)
    escalated = State(final=True, outcome="failed")

    triaged = triaging.to(drafting, on=Completed[Triage], cond=confident)
    unsure = triaging.to(escalated, on=Completed[Triage])
    drafted = drafting.to(reviewing, on=Completed[Draft])
    accepted = reviewing.to(sending, on=Completed[Review], cond=approved)
    redo = reviewing.to(drafting, on=Completed[Review], at_most=3)
    delivered = sending.to(sent, on=Completed[Receipt])
    gave_up = any_state.to(escalated, on=Failed)
