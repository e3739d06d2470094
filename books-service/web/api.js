import { Session, SessionError } from './session.js';

const auth = document.querySelector('meta[name=auth-service]').content;

/** auth-service's origin. */
export const authOrigin = new URL(auth).origin;
export const session = new Session({ auth, services: [location.origin] });

const json = (method, body, headers = {}) => ({ method, body: JSON.stringify(body), headers: { 'Content-Type': 'application/json', ...headers } });

/** The error of a call that was sent. `isWrite` is true if its effect is unknown after a failure. */
const sent = (error, { method }) => Object.assign(error, { isWrite: Boolean(method) });

/** A call with the access token. @throws {SessionError} for each response that is not 2xx. */
async function call(url, init) {
  const response = await session.fetch(url, init).catch((error) => {
    if (error instanceof TypeError) throw sent(new SessionError({ code: 'unreachable', detail: `${new URL(url).origin} cannot be reached.` }), init);
    throw error;
  });
  if (!response.ok) throw sent(await SessionError.of(response), init);
  return response;
}

/** One page of a list: its items, the total or a number that it exceeds, and the URL of the next page. */
async function page(url, signal) {
  const response = await call(url, { signal });
  const next = /<([^>]*)>;\s*rel="next"/.exec(response.headers.get('Link') ?? '')?.[1];
  const number = (name) => Number(response.headers.get(name) ?? NaN);
  const [total, atLeast] = [number('X-Total-Count'), number('X-Total-Count-At-Least')];
  return { items: await response.json(), total, atLeast, next: next && new URL(next, url).href };
}

/** The ETag for `If-Match`. A proxy that compresses a response makes it weak, and a weak one never matches. */
const tagOf = (response) => response.headers.get('ETag')?.replace(/^W\//, '');
const withTag = async (response) => ({ book: await response.json(), tag: tagOf(response) });
const books = `${location.origin}/books`;

/** The calls of books-service. */
export const library = {
  first: (query) => `${books}?${new URLSearchParams({ limit: 40, ...query })}`,
  page,
  read: async (id, signal) => withTag(await call(`${books}/${id}`, { signal })),
  add: async (details) => {
    const response = await call(books, json('POST', details));
    return { book: (await response.json()).book, tag: tagOf(response) };
  },
  replace: async (id, details, tag) => withTag(await call(`${books}/${id}`, json('PUT', details, { 'If-Match': tag }))),
  remove: (id, tag) => call(`${books}/${id}`, { method: 'DELETE', headers: { 'If-Match': tag } }),
};

/** A call of auth-service by a user who is not signed in. */
async function post(path, fields) {
  const init = json('POST', fields);
  const response = await fetch(`${auth}${path}`, init).catch(() => {
    throw sent(new SessionError({ code: 'unreachable', detail: `${auth} cannot be reached.` }), init);
  });
  if (!response.ok) throw sent(await SessionError.of(response), init);
  return response.json();
}

/** The calls of auth-service about the user's own account. */
export const account = {
  register: async (fields) => (await post('/register', fields)).user,
  forgot: (fields) => post('/password/forgot', fields),
  profile: async (signal) => (await call(`${auth}/me`, { signal })).json(),
  devices: `${auth}/me/sessions`,
  page,
  endDevice: (id) => call(`${auth}/me/sessions/${id}`, { method: 'DELETE' }),
  endAll: () => call(`${auth}/me/sessions`, { method: 'DELETE' }),
  changeEmail: (fields) => call(`${auth}/me/email`, json('PUT', fields)),
  changePassword: (fields) => call(`${auth}/me/password`, json('PUT', fields)),
  leave: (fields) => call(`${auth}/me`, json('DELETE', fields)),
};

/** The calls of auth-service about other accounts. */
export const people = {
  first: (q) => `${auth}/users?${new URLSearchParams({ limit: 40, q })}`,
  page,
  change: async (id, fields) => (await call(`${auth}/users/${id}`, json('PATCH', fields))).json(),
  resetLink: async (id) => (await call(`${auth}/users/${id}/reset-link`, { method: 'POST' })).json(),
  endSessions: (id) => call(`${auth}/users/${id}/sessions`, { method: 'DELETE' }),
};
