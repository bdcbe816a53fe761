### English: what people read for each code. A message's id is its kind and the code as it is stored.

## Where an entry ended

outcome-pending = waiting to be sent
outcome-posted = posted
outcome-noted = received
outcome-held = held
outcome-refused = refused
outcome-confirming = being confirmed

## Kinds of entries

type-VISIT = visit
type-REPAYMENT = repayment
type-PROMISE = promise to pay
type-CORRECTION = correction
type-CASH_HANDOVER = cash hand-over
type-TRANSACTION_CHECK = transaction check
type-CALL_ATTEMPT = call attempt
type-CONTACT_UPDATE = contact update
type-COMPLAINT = complaint
type-CASE_HANDOVER = case hand-over
type-STOP_EVENT = stop of the day plan
type-DEVICE_EVENT = event of the phone
type-WEEKLY_CONTACT = weekly contact
type-FLOAT_CHECK = float check
type-ISSUE_REPORT = issue report
type-ISSUE_EVENT = event of an issue
type-TRAINING = training
type-AGENT_REGISTRATION = agent registration
type-OTHER = record of a newer app

## Why an entry is held or refused, and what to do about it

reason-DUP_RECEIPT = the receipt number was used before; the office will ask you which payment it belongs to
reason-FOREIGN_BLOCK = the receipt number belongs to another phone; tell the office where it comes from
reason-NOT_ENTITLED = the case was never given to you; the office has to release the entry
reason-MISSING_REF = it refers to a record the office has not got yet; nothing to do
reason-CURRENCY_MISMATCH = the money is not in the account's currency; the office will post or return it
reason-AMOUNT = the amount cannot be right; the office will ask you
reason-BACKDATED = the date is more than seven days back; a supervisor has to release it
reason-AFTER_DEACTIVATION = it was recorded after this phone or user was deactivated; the office has to release it
reason-DEVICE_LOST = this phone was reported lost; the office compares the paper receipts
reason-AWAITING_PROVIDER = the provider has not confirmed the money yet; nothing to do
reason-PROVIDER_DIFFERS = the provider has another amount or account for this reference; the office will ask you
reason-UNKNOWN_ACCOUNT = there is no such account, or it was cancelled; the office will ask you
reason-NOT_IN_HAND = the hand-over names something that is not cash in your hand; check the list
reason-WRONG_DOSSIER = it is in the wrong place; the office will release it, or ask you to record it again
reason-WRONG_REF = what it is about is another kind of record; look at it, and record it again
reason-MALFORMED = the record was damaged; record it again and tell the office
reason-FIELD = a field breaks its rule; record it again
reason-FOREIGN = it was recorded by another phone than the one that sent it; the office looks into it
reason-ID_TAKEN = its id stands for another record; the office looks into it
reason-FAILED = the office could not process it; it is kept and people look into it
reason-DUPLICATE = the same payment was recorded twice; the other record stands
reason-REJECTED = the office rejected it; ask your supervisor
reason-REPLACED = the office recorded what is right in its place
reason-OTHER = for a reason this version of the app does not know; ask the office

## What to know about an entry that was accepted

flag-BACKDATED = counts for an earlier day
flag-VALUE_DATE_AHEAD = the date was ahead and was set back
flag-POST_REASSIGN = the case had been given to a colleague
flag-TIME_UNPROVEN = the time of capture cannot be proven
flag-LIKELY_DUPLICATE = looks like another payment of the same day
flag-OUT_OF_BLOCK = the receipt number is in nobody's block
flag-PROVISIONAL_RECEIPT = the receipt number is provisional
flag-EVIDENCE_PENDING = a photo or signature has not arrived
flag-OVER_PAYOFF = more than 1.2 times what was owed
flag-OVER_LIMIT = taken beyond the cash limit or the login
flag-ACCOUNT_CLOSED = the account was paid already; the money is the customer's credit
flag-BEFORE_DISBURSAL = paid before the account began
flag-RECOVERY = the account was written off; counted as recovery
flag-REVERSED = taken back by a supervisor
flag-RELEASED = released by the office
flag-PROVIDER_CONFIRMED = confirmed by the provider
flag-PROMISE_DATE = the promised day is out of range
flag-CLOCK_SKEW = the phone's clock was off
flag-UNKNOWN_TYPE = a kind of record the office does not know yet
flag-OTHER = flagged by the office

## Why words on a board were not merged

board-NOT_ENTITLED = the case had been given to a colleague
board-AFTER_QUARANTINED = something you wrote before it could not be merged
board-KEY_NOT_OWNED = this part of the board is not yours to write
board-BOARD_FULL = the board is full; remove something first
board-CHANGED = the board had changed meanwhile; write it again if it still matters
board-SET_BACK = the office's copy of this board was set back; write it again if it still matters
board-MAY_HAVE_ARRIVED = the office may have it already; look at the board, and write it again if it is missing
board-OTHER = it could not be merged; write it again, and tell the office if it happens twice

## How a phone does

health-ok = synced within a day
health-late = not synced for a day
health-silent = not synced for longer than allowed
health-never = never synced

## Titles of problems

problem-malformed-request = The request cannot be read
problem-unauthenticated = Who asks is not known
problem-wrong-login = Login or password is wrong
problem-session-over = The sign-in is over
problem-sign-in-refused = The sign-in is refused
problem-wrong-password = The password is wrong
problem-forbidden = The role does not allow this
problem-same-person = This needs another person
problem-device-revoked = The device is no longer in use
problem-not-found = There is no such thing
problem-method-not-allowed = The path has no such method
problem-request-timeout = The request took too long to arrive
problem-conflict = It collides with what is there
problem-already-decided = It was decided before
problem-quote-expired = The quote has expired
problem-quote-changed = The figure has changed
problem-offer-not-eligible = The offer is not for this purchase
problem-limit-exceeded = A limit is exceeded
problem-illegal-transition = That cannot happen now
problem-consent-missing = The consent is missing
problem-sign-in-code-refused = The one-time code is not, or no longer, good
problem-phone-shared = Several customers have this phone number
problem-phone-taken = Another customer has this phone number
problem-still-held = It cannot be released as it is
problem-id-taken = The name or id is in use
problem-enrolment-code-used = The enrolment code was used by another device
problem-stale-request = The request number does not go up
problem-recovery-unconfirmed = A recovery waits to be confirmed
problem-precondition-failed = It changed since it was read
problem-too-large = The body is too large
problem-unsupported-media-type = The media type is not taken here
problem-validation = The request is not valid
problem-enrolment-code-unknown = There is no such enrolment code
problem-enrolment-code-expired = The enrolment code has expired
problem-idempotency-key-missing = An Idempotency-Key is missing
problem-idempotency-in-flight = The first request is still being handled
problem-idempotency-reused = The key stands for another request
problem-precondition-required = If-Match is missing
problem-too-many-requests = Too many attempts
problem-internal = The server failed
problem-unavailable = The server cannot answer now

## What customers read

customer-receipt = { $lender }: received { $amount } for account { $account } on { $date }. Receipt { $receipt }.
customer-awaiting_confirmation = { $lender }: your payment of { $amount } waits for the provider's confirmation.
customer-account_paid = { $lender }: account { $account } is paid in full. Thank you.
customer-sign_in_code = { $lender }: your code is { $code }. It is good for { $minutes } minutes. Nobody of ours will ask you for it.
customer-phone_changed = { $lender }: the phone number of your account was changed. If it was not you, tell a shop at once.
customer-instalments_left = { $count ->
    [0] No instalment is left.
    [one] One instalment is left.
   *[other] { $count } instalments are left.
}
