"""Tokens, and the audit of who was given one and who was refused what."""

from __future__ import annotations

from fraisier_core.errors import ConflictError
from fraisier_core.store.relational.branch_heads import BranchHeads
from fraisier_core.store.relational.dialect import fleeting_transaction, transaction
from fraisier_core.store.tokens import AuditEvent, Token
from fraisier_core.store.vocabulary import AuditedAction
from fraisier_core.system.host import utc_now


class IssuedTokens(BranchHeads):
    """The write side of tokens and of the audit."""

    @transaction
    def create_token(self, token: Token) -> None:
        if any(each.name == token.name and each.revoked_at is None for each in self.tokens()):
            taken = f'there is a token "{token.name}" already'
            raise ConflictError(f"{taken}; choose another name, or run `fraisier token revoke` first")
        self._write("insert_token", **token._asdict())
        self._audit("token_created", token, token.created_by)

    @transaction
    def revoke_token(self, token: Token, revoked_by: str) -> bool:
        if self._write("revoke_token", id=token.id, revoked_at=utc_now()) == 0:
            return False
        self._audit("token_revoked", token, revoked_by)
        return True

    @fleeting_transaction
    def audit(self, event: AuditEvent) -> None:
        self._write("audit", **event._asdict())

    def _audit(self, action: AuditedAction, token: Token, actor: str) -> None:
        allowed = " ".join(filter(None, (token.level, token.fraise_id, token.environment)))
        detail = f"{token.prefix}, {allowed}, until {token.expires_at or 'it is revoked'}"
        event = AuditEvent(utc_now(), actor, action, f"token {token.name}", detail, 1)
        self._write("audit", **event._asdict())
