import { session, authOrigin } from './api.js';
import { button, el, explain, notice, toast } from './ui.js';
import { catalogue } from './catalogue.js';
import { welcome } from './welcome.js';

const main = document.querySelector('main');
const nav = document.querySelector('nav');
const ROUTES = [
  [/^\/books\/([\w-]+)$/, 'Book', async (id, signal) => (await import('./book.js')).book(id, signal)],
  [/^\/account$/, 'My account', async (_, signal) => (await import('./account.js')).account(signal)],
  [/^\/people$/, 'People', async (_, signal) => (await import('./people.js')).people(signal), 'admin'],
  [/^\/?(?:\?.*)?$/, 'Catalogue', async (_, signal) => catalogue(signal)],
];

let view = new AbortController();

/** Shows the view of the address if the user's role may see it. */
async function show(moved = true) {
  view.abort();
  view = new AbortController();
  const { signal } = view;
  const path = location.hash.slice(1);
  const [pattern, title, make, role] = ROUTES.find(([pattern]) => pattern.test(path)) ?? [];
  const may = make && (!role || role === session.user.role);
  document.title = `${may ? title : 'Nothing here'} · Reading room`;
  drawNav(path);
  const content = may ? make(pattern.exec(path)[1], signal) : notice('Nothing here', 'This address leads to no page.', el('a', { className: 'button primary', href: '#/' }, 'To the catalogue'));
  try {
    const nodes = await content;
    if (!signal.aborted) main.replaceChildren(...[nodes].flat());
  } catch (error) {
    if (signal.aborted || error.code === 'signed_out') return;
    const gone = error.status === 404;
    main.replaceChildren(notice(gone ? 'This is not in the catalogue' : 'This did not arrive', gone ? 'Perhaps it was removed.' : explain(error), gone ? el('a', { className: 'button primary', href: '#/' }, 'To the catalogue') : button('Try again', () => show(), 'primary')));
  }
  document.body.dataset.state = 'ready';
  if (moved) main.focus({ preventScroll: true });
}

function drawNav(path) {
  const user = session.user;
  const link = (href, label, name) => el('a', { href: `#${href}`, 'aria-label': name, 'aria-current': path === href || (href === '/' && /^(\/?(\?.*)?|\/books.*)$/.test(path)) ? 'page' : null }, label);
  nav.replaceChildren(...(user ? [
    link('/', 'Catalogue'),
    ...(user.role === 'admin' ? [link('/people', 'People')] : []),
    link('/account', user.username, `${user.username}, my account`),
    button('Sign out', signOut, 'quiet'),
  ] : []));
}

async function signOut({ target }) {
  target.setAttribute('aria-busy', 'true');
  await session.signOut().catch((error) => {
    target.removeAttribute('aria-busy');
    toast(`You are still signed in: ${explain(error)}`, { bad: true, action: 'Sign out again', run: () => session.signOut() });
  });
}

const REASONS = {
  signed_out: 'You are signed out.',
  invalid_refresh_token: 'Your session has ended. It was ended elsewhere, or not used for long, or your account was disabled.',
  no_cookie: 'The cookie of your session is gone. The session has expired, or you signed out on another page. If this browser keeps no cookies of this site, allow them.',
};

function showWelcome(reason) {
  view.abort();
  drawNav('');
  document.querySelectorAll('dialog').forEach((open) => open.close());
  main.replaceChildren(welcome(navigator.cookieEnabled ? REASONS[reason] ?? '' : 'This browser blocks cookies. Allow them for this site: without one, nobody stays signed in.'));
  document.body.dataset.state = 'ready';
  if (reason) main.focus({ preventScroll: true });
}

/** Removes all data of a user until it is known who is signed in. */
function hide() {
  view.abort();
  document.body.dataset.state = 'checking';
  document.querySelectorAll('dialog').forEach((open) => open.close());
  main.replaceChildren();
  nav.replaceChildren();
}

async function start() {
  document.body.dataset.state = 'checking';
  try {
    const known = session.user;
    const user = await session.start();
    // If the user changed, `change` has drawn the page.
    if (user === known) (user ? show(false) : showWelcome());
  } catch (error) {
    if (session.user !== undefined) return;
    main.replaceChildren(notice('Nobody answers', `${explain(error)} (${authOrigin})`, button('Try again', start, 'primary')));
    document.body.dataset.state = 'ready';
  }
}

session.addEventListener('change', ({ detail: { user, reason } }) => {
  document.getElementById('toasts').replaceChildren(); // They may name data of the user before, or undo a change.
  if (user) show(document.body.dataset.state === 'ready'); // After a sign-in, not after a start.
  else if (user === null) showWelcome(reason);
  else {
    hide();
    if (reason !== 'resting') start();
  }
});
document.querySelector('.skip').addEventListener('click', (event) => (event.preventDefault(), main.focus()));
addEventListener('hashchange', () => session.user && show());
addEventListener('pageshow', ({ persisted }) => persisted && start());

// The cookie is sent within one site only; 127.0.0.1 and localhost are two sites.
const [here, there] = [location.hostname, new URL(authOrigin).hostname];
if (there === 'localhost' && ['127.0.0.1', '[::1]'].includes(here)) location.replace(location.href.replace(here, there));
else start();
