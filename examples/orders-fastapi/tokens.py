"""Verifies access tokens of auth-service. Polls the public keys and revocations once a second, not per request."""

import asyncio
import logging
import re
import time
from email.utils import formatdate, parsedate_to_datetime

import httpx
import jwt

log = logging.getLogger("uvicorn.error")
CLAIMS = ["sub", "sid", "iat", "exp", "jti", "username", "role"]


class Refused(Exception):
    """The reason why a request is refused: 401, or 503 until the public keys have been read."""

    def __init__(self, status, detail):
        super().__init__(detail)
        # The characters that RFC 6750 allows in `error_description`. The text may quote a token that anyone made.
        self.status, self.detail = status, re.sub(r"[^ !#-\[\]-~]", "'", detail)


class AccessTokens:
    def __init__(self, auth, audience, issuer="auth-service", secret=None, max_life=900):
        """`secret` is the text of ACCESS_TOKEN_SECRET, or None if auth-service signs with a private key.

        `max_life` is ACCESS_TOKEN_TTL in seconds.
        """
        self._auth, self._secret, self._max_life = auth, secret, max_life
        self._expected = {"audience": audience, "issuer": issuer, "leeway": 5, "options": {"require": CLAIMS}}
        self._keys, self._tag, self._cursor = None, None, None
        self._sessions = {}  # sid: the time at which its last token expires
        self._users = {}  # sub: (notBefore, until)
        self._away = set()

    async def follow(self, began):
        """Reads keys and revocations every second, and sets the event `began` after the first read."""
        async with httpx.AsyncClient(base_url=self._auth, headers={"Cache-Control": "no-cache"}, trust_env=False) as client:
            while True:
                await asyncio.gather(self._try("keys", self._read_keys, client), self._try("revocations", self._read_list, client))
                began.set()
                await asyncio.sleep(1)

    def verify(self, authorization):
        """Verifies the token in the value of `Authorization`, and returns its claims."""
        bearer = re.fullmatch("(?i)bearer +([^ ]+)", authorization or "")
        if not bearer:
            raise Refused(401, "no access token")
        token = bearer[1]
        try:
            header = jwt.get_unverified_header(token)
            if header.get("typ") not in ("at+jwt", "application/at+jwt"):
                raise Refused(401, "the token is of another type")
            key, algorithm = self._key(header)
            claims = jwt.decode(token, key, algorithms=[algorithm], **self._expected)
        except jwt.PyJWTError as error:
            raise Refused(401, str(error)) from error
        self._check(claims)
        not_before, _ = self._users.get(claims["sub"], (0, 0))
        if claims["sid"] in self._sessions or claims["iat"] < not_before:
            raise Refused(401, "the session has ended")
        return claims

    def _check(self, claims):
        """Refuses claims that auth-service does not write. PyJWT checks `iss`, `aud`, `exp`, `jti`, and that all are there."""
        iat, exp = claims["iat"], claims["exp"]
        are_texts = all(isinstance(claims[name], str) and claims[name] for name in ("sub", "sid", "username"))
        are_times = type(iat) is type(exp) is int and iat <= time.time() + 5 and 0 <= exp - iat <= self._max_life
        if not are_texts or not are_times or claims["role"] not in ("member", "admin"):
            raise Refused(401, "a claim is not valid")

    def _key(self, header):
        """Returns the key that the header selects, and the algorithm, which only the key determines."""
        if header.get("alg") == "HS256":
            if not self._secret:
                raise Refused(401, "no shared secret is set")
            return self._secret, "HS256"
        if self._keys is None:
            raise Refused(503, "the public keys are not known yet")
        key = self._keys.get(header.get("kid"))
        if key is None:
            raise Refused(401, "the key of the token is not known")
        return key.key, key.algorithm_name

    async def _read_keys(self, client):
        answer = await client.get("/.well-known/jwks.json", headers={"If-None-Match": self._tag} if self._tag else {})
        if answer.status_code == 304:
            return
        keys = answer.raise_for_status().json()["keys"]
        # Ignores keys for algorithms that auth-service does not use.
        keys = [key for key in keys if key.get("alg") in ("ES256", "EdDSA", "RS256") and key.get("kid")]
        self._keys = {key["kid"]: jwt.PyJWK.from_dict(key) for key in keys}
        self._tag = answer.headers.get("ETag")

    async def _read_list(self, client):
        answer = await client.get("/revocations", params={"after": self._cursor} if self._cursor else {})
        told = answer.raise_for_status().json()
        for entry in told["entries"]:
            if "sid" in entry:
                self._sessions[entry["sid"]] = entry["until"]
            else:
                self._users[entry["sub"]] = (entry["notBefore"], entry["until"])
        self._cursor = told["cursor"]
        # The earlier of two clocks: if one is ahead, no entry is dropped too early.
        date = parsedate_to_datetime(answer.headers.get("Date", formatdate(usegmt=True)))
        now = min(time.time(), date.timestamp())
        self._sessions = {sid: until for sid, until in self._sessions.items() if until >= now}
        self._users = {sub: entry for sub, entry in self._users.items() if entry[1] >= now}

    async def _try(self, name, read, client):
        """Calls `read`. During an outage the data read last stays in use, and the log has one line."""
        try:
            await read(client)
            if name in self._away:
                log.warning("the %s can be read again", name)
            self._away.discard(name)
        except Exception as error:  # An answer may be any JSON. The loop goes on.
            if name not in self._away:
                log.warning("the %s cannot be read: %r", name, error)
            self._away.add(name)
