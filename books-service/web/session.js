// A signed-in user in a browser: the access token in memory, the refresh token in an HttpOnly cookie, all tabs in sync.
// It depends on nothing and may be copied as it stands; docs/clients.md documents it.

/**
 * @typedef {{id: string, username: string, role: string}} User
 * @typedef {{code?: string, status?: number, detail?: string, errors?: {field: string, message: string}[]}} Problem
 */

/** A call that failed. `code` is the problem's, or `unreachable`, `signed_out`, `user_changed`, `disposed`. */
export class SessionError extends Error {
  name = 'SessionError';

  /** @param {Problem} problem @param {number} [retryAfter] Seconds. */
  constructor({ code = 'unexpected', status = 0, detail = code, errors = [] }, retryAfter) {
    super(detail);
    this.code = code;
    this.status = status;
    this.errors = errors;
    this.retryAfter = retryAfter;
  }

  /** @param {Response} response */
  static async of(response) {
    const problem = await response.json().catch(() => ({}));
    return new SessionError({ ...problem, status: response.status }, Number(response.headers.get('Retry-After')) || undefined);
  }
}

/** The result of `make`, or `undefined` where the browser blocks or lacks what it uses. @param {() => any} make */
const attempt = (make) => {
  try {
    return make();
  } catch {
    return undefined;
  }
};

/** The problems of `POST /token` that mean that the session is over. */
const REFUSALS = ['missing_refresh_token', 'invalid_refresh_token'];

/** The maximum waits within a call, in ms: for a `Retry-After`, and for a call of another tab to auth-service. */
const [PATIENCE, LOCK_WAIT] = [5000, 3000];

/**
 * Dispatches `change`, a CustomEvent whose `detail` is `{user, reason}`, each time that `user` changes.
 * `reason` says why a session ended: a problem's code, `signed_out` or `no_cookie`.
 */
export class Session extends EventTarget {
  /** @type {User | null | undefined} The user; `null` when signed out, `undefined` until `start` has found out. */
  user;
  #token = '';
  #sid = '';
  /** Counts changes of the user, so that a late response is not used for another user. */
  #epoch = 0;
  /** The earliest time of the next refresh, on the clock of `performance.now()`. */
  #notBefore = 0;
  #refreshing = null;
  #channel = undefined;
  #over = new AbortController();

  /**
   * @param {{auth: string, services?: string[]}} origins `auth` is auth-service's, such as `https://auth.example`;
   * `services` are the others that get the access token.
   */
  constructor({ auth, services = [] }) {
    super();
    this.auth = new URL(auth).origin;
    this.origins = new Set([this.auth, ...services.map((service) => new URL(service).origin)]);
    this.#listen();
    const { signal } = this.#over;
    globalThis.addEventListener?.('pagehide', ({ persisted }) => {
      this.#channel?.close();
      // A page restored by the back button asks again before it shows anything.
      if (persisted) this.#become(undefined, 'resting');
    }, { signal });
    globalThis.addEventListener?.('pageshow', ({ persisted }) => persisted && this.#listen(), { signal });
  }

  /** Finds out who is signed in, by at most one call. @returns {Promise<User | null>} */
  async start() {
    if (this.user === undefined) {
      await this.#refresh().catch((error) => {
        if (this.user === undefined) throw error;
      });
    }
    return this.user ?? null;
  }

  /** @param {{username?: string, email?: string, password: string}} credentials @returns {Promise<User>} */
  async signIn(credentials) {
    const body = JSON.stringify({ ...credentials, cookie: true });
    await this.#inTurn(async () => {
      const response = await this.#post('/login', { body, headers: { 'Content-Type': 'application/json' } });
      this.#take((await response.json()).accessToken);
    });
    if (!this.user) throw this.#gone();
    this.#tell({ in: this.user.id });
    this.#announce();
    return this.user;
  }

  /** Ends the session for every tab. If this rejects, the user is still signed in. */
  async signOut() {
    const sid = this.#sid;
    await this.#post('/logout').catch((error) => {
      if (error.status !== 401) throw error;
    });
    this.#tell({ out: sid, reason: 'signed_out' });
    this.#become(null, 'signed_out');
  }

  /**
   * The browser's `fetch` with the access token. A 401 causes one refresh and, if the body can be sent again, one
   * retry. Rejects with a SessionError if no user is signed in or the refresh fails.
   * @param {RequestInfo | URL} input @param {RequestInit} [init] @returns {Promise<Response>}
   */
  async fetch(input, init = {}) {
    const request = input instanceof Request ? input : undefined;
    const { origin } = new URL(input instanceof Request ? input.url : input, globalThis.location?.href);
    if (!this.origins.has(origin)) throw new TypeError(`${origin} is no origin of this session: name it in services`);
    const headers = new Headers(init.headers ?? request?.headers);
    const signal = AbortSignal.any([this.#over.signal, init.signal, request?.signal].filter(Boolean));
    const send = () => {
      headers.set('Authorization', `Bearer ${this.#token}`);
      // A redirect must not send the token to another origin.
      return fetch(input, { ...init, headers, redirect: 'error', signal });
    };
    if (!this.#token) await this.#refresh();
    const [token, user] = [this.#token, this.user?.id];
    const first = await send();
    if (first.status !== 401) return first;
    if (!this.#token || token === this.#token) await this.#refresh();
    if (user !== this.user?.id) throw this.#gone();
    return init.body instanceof ReadableStream || request?.bodyUsed ? first : send();
  }

  /** Ends all listeners, locks and calls, except a refresh under way: its cookie has to arrive. */
  dispose() {
    this.#over.abort(new SessionError({ code: 'disposed', detail: 'The session object was disposed of.' }));
    this.#channel?.close();
    this.#token = '';
  }

  /** A call of auth-service with the cookie. It outlives the tab, so that the cookie of the response is stored. */
  async #post(path, init = {}) {
    this.#over.signal.throwIfAborted();
    const response = await fetch(this.auth + path, { method: 'POST', credentials: 'include', keepalive: true, redirect: 'error', ...init }).catch(() => {
      throw new SessionError({ code: 'unreachable', detail: `${this.auth} cannot be reached.` });
    });
    if (!response.ok) throw await SessionError.of(response);
    return response;
  }

  /** The error of a call whose user is not signed in any more. */
  #gone() {
    const [code, detail] = this.user ? ['user_changed', 'Another user signed in.'] : ['signed_out', 'Sign in first.'];
    return new SessionError({ code, status: 401, detail });
  }

  /** Runs one refresh at a time; concurrent callers get its result. */
  async #refresh() {
    if (this.user === null) throw this.#gone();
    this.#refreshing ??= this.#renew().finally(() => (this.#refreshing = null));
    return this.#refreshing;
  }

  async #renew() {
    const wait = this.#notBefore - performance.now();
    if (wait > PATIENCE) throw new SessionError({ code: 'unreachable', detail: 'auth-service asks for patience.' }, wait / 1000);
    if (wait > 0) await new Promise((done) => setTimeout(done, wait));
    const [before, epoch] = [this.user, this.#epoch];
    const refusal = await this.#inTurn(() => this.#exchange(epoch));
    this.#over.signal.throwIfAborted();
    if (!refusal) {
      if (!this.user) throw this.#gone(); // Another tab signed out while the response arrived.
      if (before?.id !== this.user.id || before.role !== this.user.role) this.#announce();
      return;
    }
    if (epoch === this.#epoch) {
      const reason = before && (refusal === 'missing_refresh_token' ? 'no_cookie' : refusal);
      if (before) this.#tell({ out: this.#sid, reason });
      this.#become(null, reason);
    } else if (this.user === undefined) return this.#renew(); // Another tab signed in meanwhile.
    throw this.#gone();
  }

  /** `POST /token`. @returns {Promise<string | undefined>} The code of the problem, if there is no new token for the user. */
  async #exchange(epoch) {
    if (epoch !== this.#epoch) return 'user_changed';
    try {
      const { accessToken } = await (await this.#post('/token')).json();
      if (epoch === this.#epoch) return void this.#take(accessToken);
    } catch (error) {
      if (REFUSALS.includes(error.code)) return error.code;
      // The outcome is unknown: the session stays, and the next call tries again, not before `#notBefore`.
      this.#notBefore = performance.now() + (error.retryAfter ?? 0.5) * 1000 * (1 + Math.random() / 4);
      throw error;
    }
    // The user signed out meanwhile: the cookie of this response must not stay. A newer sign-in keeps its own.
    if (this.user === null) await this.#post('/logout').catch(() => {});
    return 'user_changed';
  }

  /** Runs calls of all tabs in turn: a late response must not overwrite a newer cookie. A stuck lock only delays. */
  async #inTurn(work) {
    let begun;
    const run = () => (begun ??= work());
    const signal = AbortSignal.any([AbortSignal.timeout(LOCK_WAIT), this.#over.signal]);
    await attempt(() => globalThis.navigator.locks.request(`session ${this.auth}`, { signal }, run).catch(() => {}));
    if (!begun) this.#over.signal.throwIfAborted();
    return run();
  }

  /** The user of a new access token. Its claims are shown, not trusted: services verify them. */
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
    this.#channel = attempt(() => new BroadcastChannel(`session ${this.auth}`));
    if (this.#channel) this.#channel.onmessage = ({ data }) => this.#hear(data);
  }

  #tell(message) {
    attempt(() => this.#channel?.postMessage(message));
  }

  /** Handles a message of another tab: a user signed in, or a session ended. No message contains a token. */
  #hear({ in: id, out: sid, reason }) {
    if (sid && sid === this.#sid) this.#become(null, reason);
    if (id && id === this.user?.id) this.#token = '';
    else if (id && this.user !== undefined) this.#become(undefined, 'user_changed');
    else if (this.user === undefined) this.#epoch += 1; // A refresh under way has to ask again.
  }
}
