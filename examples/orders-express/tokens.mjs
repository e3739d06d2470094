// Verifies access tokens of auth-service. Reads the public keys and the revocation list once a second, not per request.
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';

/** The reason why a request is refused: 401, or 503 until the public keys have been read. */
export class Refused extends Error {
  constructor(status, message) {
    // The characters that RFC 6750 allows in `error_description`. The message may quote a token that anyone made.
    super(message.replace(/[^ !#-[\]-~]/g, "'"));
    this.status = status;
  }
}

export class AccessTokens {
  #auth;
  #expected;
  #maxLife;
  #secret;
  #keys = null;
  #tag;
  #cursor;
  #sessions = new Map(); // sid: the time at which its last token expires
  #users = new Map(); // sub: { notBefore, until }
  #warned = new Set();

  /**
   * `secret` is the text of `ACCESS_TOKEN_SECRET`, or undefined if auth-service signs with a private key; `maxLife` is
   * `ACCESS_TOKEN_TTL` in seconds.
   */
  constructor({ auth, audience, issuer = 'auth-service', secret, maxLife = 900 }) {
    this.#auth = auth;
    this.#maxLife = maxLife;
    this.#secret = secret && new TextEncoder().encode(secret);
    const requiredClaims = ['sub', 'sid', 'iat', 'exp', 'jti', 'username', 'role'];
    this.#expected = { typ: 'at+jwt', issuer, audience, clockTolerance: 5, requiredClaims };
  }

  /** Reads keys and revocations, now and once a second. */
  async start() {
    await Promise.all([this.#try('keys', () => this.#readKeys()), this.#try('revocations', () => this.#readRevocations())]);
    setTimeout(() => this.start(), 1000);
  }

  /** Verifies the token in the value of `Authorization`, and returns its claims. */
  async verify(authorization) {
    const [, token] = /^bearer +([^ ]+)$/i.exec(authorization ?? '') ?? [];
    if (!token) throw new Refused(401, 'no access token');
    let claims;
    try {
      // The header selects only the key. The key determines the allowed algorithms.
      const { alg } = decodeProtectedHeader(token);
      const [key, algorithms] = alg === 'HS256' ? [this.#secret, ['HS256']] : [this.#keys, ['ES256', 'EdDSA', 'RS256']];
      if (key === null) throw new Refused(503, 'the public keys are not known yet');
      if (key === undefined) throw new Refused(401, 'no shared secret is set');
      claims = (await jwtVerify(token, key, { ...this.#expected, algorithms })).payload;
      this.#check(claims);
    } catch (error) {
      throw error instanceof Refused ? error : new Refused(401, error.message);
    }
    if (this.#sessions.has(claims.sid) || claims.iat < this.#users.get(claims.sub)?.notBefore) {
      throw new Refused(401, 'the session has ended');
    }
    return claims;
  }

  /** Refuses claims that auth-service does not write. `jose` checks `iss`, `aud`, `exp`, and that all are there. */
  #check({ sub, sid, jti, username, role, iat, exp }) {
    const areTexts = typeof jti === 'string' && [sub, sid, username].every((text) => typeof text === 'string' && text);
    const life = exp - iat;
    const areTimes = [iat, exp].every(Number.isInteger) && iat <= Date.now() / 1000 + 5 && life >= 0 && life <= this.#maxLife;
    if (!areTexts || !areTimes || !['member', 'admin'].includes(role)) throw new Refused(401, 'a claim is not valid');
  }

  async #readKeys() {
    const headers = this.#tag ? { 'If-None-Match': this.#tag } : {};
    const answer = await this.#get('/.well-known/jwks.json', headers);
    if (answer.status === 304) return;
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    this.#keys = createLocalJWKSet(await answer.json());
    this.#tag = answer.headers.get('ETag');
  }

  async #readRevocations() {
    const answer = await this.#get(`/revocations${this.#cursor ? `?after=${encodeURIComponent(this.#cursor)}` : ''}`);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const { entries, cursor } = await answer.json();
    for (const { sid, sub, notBefore, until } of entries) {
      if (sid) this.#sessions.set(sid, until);
      else this.#users.set(sub, { notBefore, until });
    }
    this.#cursor = cursor;
    // The earlier of two clocks: if one is ahead, no entry is dropped too early.
    const now = Math.min(Date.now(), Date.parse(answer.headers.get('Date')) || Infinity) / 1000;
    for (const [sid, until] of this.#sessions) if (until < now) this.#sessions.delete(sid);
    for (const [sub, { until }] of this.#users) if (until < now) this.#users.delete(sub);
  }

  #get(path, headers = {}) {
    return fetch(this.#auth + path, {
      headers: { 'Cache-Control': 'no-cache', ...headers }, redirect: 'error', signal: AbortSignal.timeout(5000),
    });
  }

  /** Calls `read`. During an outage the data read last stays in use, and the log has one line. */
  async #try(name, read) {
    try {
      await read();
      if (this.#warned.delete(name)) console.warn(`the ${name} can be read again`);
    } catch (error) {
      if (!this.#warned.has(name)) console.warn(`the ${name} cannot be read: ${error.message}`);
      this.#warned.add(name);
    }
  }
}
