// The origins that the page calls, the data that it stores, and the access of pages of other origins and sites.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort, launch, startProxy, startSite, startStack, until, PASSWORD } from './harness.mjs';
import { Desk, is_clean, searches_until, toast } from './desk.mjs';

const example = fileURLToPath(new URL('../../../examples/page/serve.mjs', import.meta.url));
const story = (name, tell) => it(name, { timeout: 150000 }, tell);

/** A desk whose page reaches auth-service through a proxy. */
async function proxied() {
  const desk = Object.assign(new Desk(), { browser: await launch() });
  // The stack needs the proxy's address as a setting, so the proxy starts first and gets its target afterwards.
  const proxy = await startProxy('http://localhost:1');
  desk.stack = await startStack({ AUTH_PUBLIC_URL: proxy.url });
  proxy.lead(desk.stack.auth);
  return { desk, proxy };
}

let desk;
let other;
let foreign;
let port;
before(async () => {
  other = await startSite({ '/plain': (_, response) => (response.writeHead(200, { 'Content-Type': 'text/html' }), response.end('<!doctype html><link rel="icon" href="data:,"><p>A line of text.</p>')) });
  foreign = other.replace('localhost', '127.0.0.1');
  port = await freePort();
  desk = await Desk.open({ ALLOWED_ORIGINS: `http://localhost:${port},${foreign}` });
});

describe('the first view', () => {
  story('first_view_is_small_quick_and_asks_no_other_origin', async () => {
    const context = await desk.browser.newContext();
    const requests = [];
    context.on('request', (request) => requests.push(request));
    const page = await desk.tab(context);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    const size = await page.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0));
    const origins = new Set(requests.map((request) => new URL(request.url()).origin));
    assert.deepEqual([...origins].sort(), [desk.stack.auth, desk.stack.books].sort());
    const drawn = { page: [], plain: [] };
    for (let load = 0; load < 5; load += 1) {
      for (const [what, url] of [['page', desk.stack.books], ['plain', `${other}/plain`]]) {
        await page.goto('about:blank');
        await page.goto(url);
        const painted = () => page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
        drawn[what].push(Math.round(await until(painted, `${url} is drawn`)));
      }
    }
    console.log(`first view: ${size} bytes, drawn after ${drawn.page} ms, a line of text after ${drawn.plain} ms`);
    assert.ok(size > 20000 && size < 60000, `${size} bytes`);
    // The limit grows with the time for a line of text, because a busy machine draws both slowly.
    assert.ok(Math.min(...drawn.page) < Math.max(300, 3 * Math.min(...drawn.plain)), JSON.stringify(drawn));
    is_clean(page);
  });
});

describe('origins', { concurrency: 3 }, () => {

  story('token_is_in_no_storage_cookie_address_or_console_line', async () => {
    const { page } = await desk.member();
    const sent = page.waitForRequest((request) => request.url().includes('/books?') && request.method() === 'GET');
    await page.getByLabel('Search').fill('tales');
    const token = (await sent).headers().authorization.slice(7);
    const kept = await page.evaluate(async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, await indexedDB.databases(), await caches.keys(), location.href, history.state, document.documentElement.outerHTML]));
    assert.ok(!kept.includes(token.slice(-20)));
    const cookies = await page.context().cookies();
    assert.deepEqual(cookies.map(({ name, httpOnly, secure, sameSite }) => ({ name, httpOnly, secure, sameSite })), [{ name: '__Host-refresh_token', httpOnly: true, secure: true, sameSite: 'Strict' }]);
    assert.ok(!cookies[0].value.includes(token.slice(-20)));
    is_clean(page);
  });

  story('page_at_a_loopback_address_is_sent_to_localhost', async () => {
    const page = await desk.page();
    await page.goto(desk.stack.books.replace('localhost', '127.0.0.1'));
    await page.waitForURL(`${desk.stack.books}/**`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });

  story('page_of_another_site_cannot_use_the_session_though_it_is_named', async () => {
    const { page, user } = await desk.member();
    const stranger = await page.context().newPage();
    await stranger.goto(foreign);
    await until(() => stranger.evaluate(() => globalThis.ready), 'the page is loaded');
    const got = await stranger.evaluate(async ({ auth, username, password }) => {
      const session = new Session({ auth });
      const start = await session.start().catch(({ code }) => code);
      const signIn = await session.signIn({ username, password }).catch(({ code }) => code);
      const plain = await fetch(`${auth}/token`, { method: 'POST', credentials: 'include' }).then(({ status }) => status);
      return { start, signIn, plain };
    }, { auth: desk.stack.auth, username: user.username, password: PASSWORD });
    assert.deepEqual(got, { start: null, signIn: 'origin_not_allowed', plain: 401 });
  });

  story('page_on_another_site_than_auth_service_says_why_it_cannot_sign_in', async () => {
    const proxy = await startProxy('http://localhost:1');
    const site = proxy.url.replace('localhost', 'books.test');
    const stack = await startStack({ ALLOWED_ORIGINS: site });
    proxy.lead(stack.books);
    const user = await stack.register();
    const browser = await launch({ args: ['--no-sandbox', '--host-resolver-rules=MAP books.test 127.0.0.1'] });
    const page = await Object.assign(new Desk(), { stack: { books: site }, browser }).page();
    await page.getByLabel('User name or email').fill(user.username);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: 'This page and auth-service are on two sites' }).waitFor();
    assert.deepEqual(await page.context().cookies(), []);
    is_clean(page);
  });

  story('page_of_an_origin_that_is_not_named_cannot_use_the_session', async () => {
    const { page } = await desk.member();
    const stranger = await page.context().newPage();
    await stranger.goto(other);
    const got = await stranger.evaluate(async (auth) => {
      const ask = (path, init) => fetch(auth + path, { method: 'POST', credentials: 'include', ...init }).then(({ status }) => status, ({ name }) => name);
      return [await ask('/token'), await ask('/logout'), (await fetch(`${auth}/logout`, { method: 'POST', mode: 'no-cors', credentials: 'include' })).type];
    }, desk.stack.auth);
    assert.deepEqual(got, ['TypeError', 'TypeError', 'opaque']);
    await page.reload();
    await page.getByRole('heading', { name: 'Catalogue' }).waitFor();
  });

  story('second_page_on_a_named_origin_uses_the_session_client_unchanged', async () => {
    const server = spawn(process.execPath, [example, port, desk.stack.auth, desk.stack.books], { stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      await new Promise((done) => server.stdout.once('data', done));
      // books-service has the same ALLOWED_ORIGINS.
      const { page, user } = await desk.member();
      const second = await page.context().newPage();
      await second.goto(`http://localhost:${port}/`);
      await second.getByText(`Signed in as ${user.username}`).waitFor();
      await second.getByText('Fairy tales').waitFor();
      await second.getByRole('button', { name: 'Sign out' }).click();
      await second.getByText('Signed out').waitFor();
      await searches_until(page, 'The cookie of your session is gone.');
    } finally {
      server.kill();
    }
  });

  story('blocked_cookies_are_said_at_the_door', async () => {
    const page = await desk.page();
    await page.addInitScript(() => Object.defineProperty(Navigator.prototype, 'cookieEnabled', { get: () => false }));
    await page.reload();
    await page.getByText('This browser blocks cookies.').waitFor();
  });

  story('sign_out_that_failed_is_said_and_offered_again', async () => {
    const { desk, proxy } = await proxied();
    const { page } = await desk.member();
    proxy.rule = ({ path }) => (path === '/logout' ? { status: 503, headers: { 'Retry-After': '1' } } : {});
    await page.getByRole('button', { name: 'Sign out' }).click();
    await toast(page, 'You are still signed in');
    proxy.rule = () => ({});
    await page.getByRole('button', { name: 'Sign out again' }).click();
    await page.getByText('You are signed out.').waitFor();
    is_clean(page);
  });

  story('outage_at_the_start_shows_neither_door_nor_catalogue', async () => {
    const { desk, proxy } = await proxied();
    const { page } = await desk.member();
    proxy.rule = ({ path }) => (path === '/token' ? { status: 503, headers: { 'Retry-After': '1' } } : {});
    await page.reload();
    await page.getByRole('heading', { name: 'Nobody answers' }).waitFor();
    assert.equal(await page.getByLabel('Password').count(), 0);
    proxy.rule = () => ({});
    // The page sends no request before the second of Retry-After is over.
    await until(async () => {
      await page.getByRole('button', { name: 'Try again' }).click({ timeout: 500 }).catch(() => {});
      return page.getByRole('heading', { name: 'Catalogue' }).isVisible();
    }, 'the page is there again');
    is_clean(page);
  });

  story('back_button_after_a_sign_out_shows_nothing_of_the_catalogue', async () => {
    const whole = Object.assign(new Desk(), { stack: desk.stack, browser: await launch({ executablePath: '/usr/bin/chromium' }) });
    const { page } = await whole.member();
    await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => (globalThis.shown = { persisted, text: document.querySelector('main').innerText })));
    const second = await whole.tab(page.context());
    await second.getByRole('heading', { name: 'Catalogue' }).waitFor();
    await page.goto(`${desk.stack.books}/web/icon.svg`);
    await second.getByRole('button', { name: 'Sign out' }).click();
    await second.getByText('You are signed out.').waitFor();
    await page.evaluate(() => setTimeout(() => history.back()));
    const shown = await until(() => page.evaluate(() => globalThis.shown).catch(() => null), 'the browser restores the page from its back/forward cache');
    assert.deepEqual(shown, { persisted: true, text: '' });
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  });
});
