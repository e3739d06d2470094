// A signed-in user in a browser: the access token in memory, the refresh token in an HttpOnly cookie, all tabs in step.
// It depends on nothing and may be copied as it stands. How it is used: docs/clients.md.

/**
 * @typedef {{id: string, username: string, role: string}} User
 * @typedef {{code?: string, status?: number, detail?: string, errors?: {field: string, message: string}[]}} Problem
 *
 * @typedef {object} Options
 * @property {string} auth The origin of auth-service, such as `https://auth.example`.
 * @property {string[]} [services] The other origins that get the access token.
 * @property {number} [lockWait] Milliseconds to wait for another tab that calls auth-service.
 */

/** A call that was not answered as it should be. `code` is the problem's, or `unreachable`, `signed_out`, `user_changed`. */
export class SessionError extends Error {
  /** @param {Problem} problem @param {number} [retryAfter] Seconds. */
  constructor(problem, retryAfter) {
    super(problem.detail ?? problem.code);
    this.name = 'SessionError';
    this.code = problem.code ?? 'unexpected';
    this.status = problem.status ?? 0;
    this.errors = problem.errors ?? [];
    this.retryAfter = retryAfter;
  }

  /** @param {Response} response */
  static async of(response) {
    const problem = await response.json().catch(() => ({}));
    return new SessionError({ ...problem, status: response.status }, Number(response.headers.get('Retry-After')) || undefined);
  }
}

/** @param {() => any} make */
const attempt = (make) => {
  try {
    return make();
  } catch {
    return undefined; // Blocked by the browser, or not there.
  }
};

const signedOut = () => new SessionError({ code: 'signed_out', status: 401, detail: 'Sign in first.' });
const changed = () => new SessionError({ code: 'user_changed', status: 401, detail: 'Another user signed in.' });

/** The longest wait for a `Retry-After` inside of a call, in milliseconds. */
const PATIENCE = 5000;

/**
 * Dispatches `change`, a CustomEvent whose `detail` is `{user, reason}`, each time that `user` becomes another.
 * `reason` says why a session ended: a problem's code, `signed_out` or `no_cookie`.
 */
export class Session extends EventTarget {
  /** @type {User | null | undefined} The user; `null` when signed out, `undefined` until `start` has found out. */
  user;
  /** Where a refresh may be tried again, on the clock of `performance.now()`. */
  #notBefore = 0;
  #token = '';
  #sid = '';
  /** Counts users, so that a late answer is not taken for the current user's. */
  #epoch = 0;
  #refreshing = null;
  #channel = undefined;
  #over = new AbortController();

  /** @param {Options} options */
  constructor({ auth, services = [], lockWait = 3000 }) {
    super();
    this.auth = new URL(auth).origin;
    this.origins = new Set([this.auth, ...services.map((service) => new URL(service).origin)]);
    this.lockWait = lockWait;
    this.#listen();
    const { signal } = this.#over;
    globalThis.addEventListener?.('pagehide', ({ persisted }) => this.#rest(persisted), { signal });
    globalThis.addEventListener?.('pageshow', ({ persisted }) => persisted && this.#listen(), { signal });
  }

  /** Finds out who is signed in, by at most one call. @returns {Promise<User | null>} */
  async start() {
    if (this.user === undefined) await this.#refresh().catch((error) => this.user !== null && Promise.reject(error));
    return this.user ?? null;
  }

  /** @param {{username?: string, email?: string, password: string}} credentials @returns {Promise<User>} */
  async signIn(credentials) {
    const body = JSON.stringify({ ...credentials, cookie: true });
    await this.#inTurn(async () => {
      const response = await this.#post('/login', { body, headers: { 'Content-Type': 'application/json' } });
      if (!response.ok) throw await SessionError.of(response);
      this.#take((await response.json()).accessToken);
    });
    this.#tell({ in: this.user.id });
    this.#announce();
    return this.user;
  }

  /** Ends the session for every tab. If this rejects, the user is still signed in. */
  async signOut() {
    const sid = this.#sid;
    const response = await this.#post('/logout');
    if (!response.ok && response.status !== 401) throw await SessionError.of(response);
    this.#tell({ out: sid, reason: 'signed_out' });
    this.#become(null, 'signed_out');
  }

  /**
   * As the browser's `fetch`, with the access token. A 401 is answered by one refresh and, if the body can be sent
   * again, by one more call. It rejects with a SessionError where nobody is signed in or auth-service cannot tell.
   * @param {RequestInfo | URL} input @param {RequestInit} [init] @returns {Promise<Response>}
   */
  async fetch(input, init = {}) {
    const { origin } = new URL(input instanceof Request ? input.url : input, globalThis.location?.href);
    if (!this.origins.has(origin)) throw new TypeError(`${origin} is no origin of this session: name it in services`);
    if (!this.#token) await this.#refresh();
    const [token, user] = [this.#token, this.user?.id];
    const first = await this.#send(input, init, token);
    if (first.status !== 401) return first;
    if (token === this.#token) await this.#refresh();
    if (user !== this.user?.id) throw this.user ? changed() : signedOut();
    const spent = init.body instanceof ReadableStream || (input instanceof Request && input.bodyUsed);
    return spent ? first : this.#send(input, init, this.#token);
  }

  /** Leaves nothing behind: no listener, no lock, no call but a refresh that is under way, whose cookie has to arrive. */
  dispose() {
    this.#over.abort(new SessionError({ code: 'disposed', detail: 'The session object was disposed of.' }));
    this.#channel?.close();
    [this.#channel, this.#token] = [undefined, ''];
  }

  #send(input, init, token) {
    const headers = new Headers(init.headers ?? (input instanceof Request ? input.headers : undefined));
    headers.set('Authorization', `Bearer ${token}`);
    const signals = [this.#over.signal, init.signal, input instanceof Request ? input.signal : null].filter(Boolean);
    // The token is for this origin, not for another that a redirect names.
    return fetch(input, { ...init, headers, redirect: 'error', signal: AbortSignal.any(signals) });
  }

  /** A call of auth-service with the cookie. It outlives the tab, so that the cookie of its answer is kept. */
  async #post(path, init = {}) {
    this.#over.signal.throwIfAborted();
    return fetch(this.auth + path, { method: 'POST', credentials: 'include', keepalive: true, redirect: 'error', ...init }).catch(() => {
      throw new SessionError({ code: 'unreachable', detail: `${this.auth} cannot be reached.` });
    });
  }

  /** One refresh at a time; all who ask meanwhile get its result. */
  #refresh() {
    if (this.user === null) return Promise.reject(signedOut());
    this.#refreshing ??= this.#renew().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #renew() {
    await this.#pause();
    const [before, epoch] = [this.user, this.#epoch];
    const refusal = await this.#inTurn(() => this.#exchange(epoch));
    this.#over.signal.throwIfAborted();
    if (this.#epoch !== epoch && refusal) {
      if (this.user === undefined) return this.#renew(); // Another tab signed in meanwhile.
      throw this.user ? changed() : signedOut();
    }
    if (refusal) {
      const lost = before && refusal.code === 'missing_refresh_token' ? 'no_cookie' : refusal.code;
      if (before) this.#tell({ out: this.#sid, reason: lost });
      this.#become(null, before ? lost : undefined);
      throw signedOut();
    }
    if (before?.id !== this.user.id || before.role !== this.user.role) this.#announce();
  }

  /** `POST /token`. @returns {Promise<SessionError | undefined>} The refusal, if the session is over. */
  async #exchange(epoch) {
    if (epoch !== this.#epoch) return signedOut();
    const response = await this.#post('/token').catch((error) => this.#backOff(error));
    if (response.ok) {
      const { accessToken } = await response.json();
      if (epoch === this.#epoch) return void this.#take(accessToken);
      // A sign-out was faster: the cookie of this answer must not stay. A newer sign-in keeps its own.
      if (this.user === null) await this.#post('/logout').catch(() => {});
      return signedOut();
    }
    const error = await SessionError.of(response);
    if (['missing_refresh_token', 'invalid_refresh_token'].includes(error.code)) return error;
    return this.#backOff(error);
  }

  /** Nothing is known: the session stays as it is, and the next call tries again, not before it may. */
  #backOff(error) {
    this.#notBefore = performance.now() + (error.retryAfter ?? 0.5) * 1000 * (1 + Math.random() / 4);
    throw error;
  }

  async #pause() {
    const wait = this.#notBefore - performance.now();
    if (wait > PATIENCE) throw new SessionError({ code: 'unreachable', detail: 'auth-service asks for patience.' }, wait / 1000);
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    this.#over.signal.throwIfAborted();
  }

  /** Keeps tabs in order: a late answer must not overwrite a newer cookie. A lock that never comes holds nobody up. */
  async #inTurn(work) {
    const locks = attempt(() => globalThis.navigator.locks);
    if (!locks) return work();
    const enough = new AbortController();
    const timer = setTimeout(() => enough.abort(), this.lockWait);
    let begun;
    const signal = AbortSignal.any([enough.signal, this.#over.signal]);
    const run = () => (clearTimeout(timer), (begun ??= work()));
    const held = attempt(() => locks.request(`session ${this.auth}`, { signal }, run)) ?? run();
    return held.catch((error) => (this.#over.signal.aborted && !begun ? Promise.reject(error) : run()));
  }

  /** The user of a new access token. What the token says is shown, not trusted: services verify it. */
  #take(token) {
    const bytes = Uint8Array.from(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
    const { sub: id, sid, username, role } = JSON.parse(new TextDecoder().decode(bytes));
    if (id !== this.user?.id || sid !== this.#sid) this.#epoch += 1;
    [this.#token, this.#sid, this.user, this.#notBefore] = [token, sid, { id, username, role }, 0];
  }

  /** Drops the token; the user is `null`, or `undefined` until the next call finds out. */
  #become(user, reason) {
    if (this.user === user) return;
    this.#epoch += 1;
    [this.user, this.#token, this.#sid] = [user, '', ''];
    this.#announce(reason);
  }

  #announce(reason) {
    this.dispatchEvent(new CustomEvent('change', { detail: { user: this.user, reason } }));
  }

  #listen() {
    this.#channel ??= attempt(() => new BroadcastChannel(`session ${this.auth}`));
    if (this.#channel) this.#channel.onmessage = ({ data }) => this.#hear(data);
  }

  #tell(message) {
    attempt(() => this.#channel?.postMessage(message));
  }

  /** Another tab signed in as a user, or a session is over. No token is ever in a message. */
  #hear({ in: id, out: sid, reason }) {
    if (sid && sid === this.#sid) this.#become(null, reason);
    if (id && id === this.user?.id) this.#token = '';
    else if (id && this.user !== undefined) this.#become(undefined, 'user_changed');
    else if (this.user === undefined) this.#epoch += 1; // A refresh under way has to ask again.
  }

  /** Before the page is kept for the back button, or gone: what comes back asks again before it shows anything. */
  #rest(persisted) {
    this.#channel?.close();
    this.#channel = undefined;
    if (persisted) this.#become(undefined, 'resting');
  }
}
