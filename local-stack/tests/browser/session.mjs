// session.js in Chromium with the real services: access tokens live for a second (and the leeway of 5 s), the grace is 2 s.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { back_button_asks_before_it_shows_anything, lock_that_is_never_released_delays_a_call_by_three_seconds } from './both.mjs';
import { gate, launch, sleep, startSite, startStack, until } from './harness.mjs';
import { Visitor, ask, becomes, heard, who } from './visitor.mjs';

const world = {};
const bodies = [];
const elsewhere = [];
const late = [];
const json = (response, status, body = {}, headers = {}) => (response.writeHead(status, { 'Content-Type': 'application/json', ...headers }), response.end(JSON.stringify(body)));

before(async () => {
  const other = await startSite({ '/caught': (request, response) => (elsewhere.push(request.headers), json(response, 200, {}, { 'Access-Control-Allow-Origin': '*' })) });
  const read = async (request) => {
    let text = '';
    for await (const part of request) text += part;
    return text;
  };
  world.site = await startSite({
    '/401': (request, response) => json(response, 401),
    '/503': async (request, response) => (bodies.push(await read(request)), json(response, 503)),
    '/redirect': (request, response) => (response.writeHead(302, { Location: `${other}/caught` }), response.end()),
    '/first-401': async (request, response) => {
      const [text, key] = [await read(request), request.headers['x-key']];
      bodies.push({ key, text });
      json(response, bodies.filter((body) => body.key === key).length === 1 ? 401 : 200);
    },
    '/slow-401': async (request, response) => (late.push(request.headers.authorization), await sleep(1000), json(response, late.length === 1 ? 401 : 200)),
  });
  world.stack = await startStack({ ACCESS_TOKEN_TTL: '1s', REFRESH_GRACE: '2s', ALLOWED_ORIGINS: world.site });
  world.browser = await launch();
});

const scenario = (name, story, options) => it(name, { timeout: 150000 }, async () => story(await Visitor.arrive(world, options)));

describe('session.js', { concurrency: 6 }, () => {
  for (const [how, init] of [['with', undefined], ['without', () => delete Navigator.prototype.locks]]) {
    scenario(`two_tabs_refresh_at_once_and_both_stay_signed_in_${how}_web_locks`, async (visitor) => {
      const [a, b] = [await visitor.signedIn(), await visitor.signedIn()];
      await visitor.expire();
      visitor.proxy.seen.length = 0;
      // Without locks, both tabs must send the same cookie, so the proxy holds the requests until both have arrived.
      const { opened, open } = gate();
      visitor.proxy.rule = async ({ path }) => {
        if (path !== '/token') return {};
        if (!init || visitor.tokens() > 1) open();
        await opened;
        return { delay: 300 };
      };
      assert.deepEqual(await Promise.all([ask(a), ask(b)]), [200, 200]);
      const cookies = visitor.proxy.seen.filter(({ path }) => path === '/token').map(({ cookie }) => cookie);
      assert.equal(cookies.length, 2);
      assert.equal(new Set(cookies.map((cookie) => cookie.split(';')[0])).size, init ? 1 : 2, 'the same successor, or one after the other');
      assert.equal((await visitor.stack.sessions(visitor.user.username)).length, 1);
      assert.deepEqual([await heard(a), await heard(b)].map((events) => events.filter((event) => event.includes('null '))), [['null undefined'], []]);
    }, { init });
  }

  scenario('ten_calls_with_an_expired_token_cost_one_refresh_and_one_retry_each', async (visitor) => {
    const page = await visitor.signedIn();
    await visitor.expire();
    page.requests.length = 0;
    const statuses = await page.evaluate(() => Promise.all(Array.from({ length: 10 }, () => ask())));
    assert.deepEqual(statuses, Array(10).fill(200));
    assert.equal(page.requests.filter((request) => request.url().endsWith('/token')).length, 1);
    assert.equal(page.requests.filter((request) => request.url().startsWith(visitor.stack.books) && request.method() === 'GET').length, 20);
  });

  scenario('a_401_after_the_refresh_is_handed_to_the_caller', async (visitor) => {
    const page = await visitor.signedIn();
    page.requests.length = 0;
    assert.equal(await ask(page, `${visitor.site}/401`), 401);
    assert.equal(page.requests.filter((request) => request.url().endsWith('/401')).length, 2);
    assert.equal(page.requests.filter((request) => request.url().endsWith('/token')).length, 1);
    assert.equal(await who(page), visitor.user.username);
  });

  scenario('an_outage_of_auth_service_ends_no_session', async (visitor) => {
    const page = await visitor.signedIn();
    await visitor.expire();
    const cookie = await visitor.cookie();
    for (const rule of [{ status: 503, headers: { 'Retry-After': '1' } }, { status: 429, headers: { 'Retry-After': '1' } }, { drop: true }]) {
      visitor.proxy.rule = ({ path }) => (path === '/token' ? rule : {});
      const calls = visitor.tokens();
      assert.ok(['unavailable', 'too_many_requests', 'unreachable'].includes(await ask(page)), JSON.stringify(rule));
      // Chromium itself repeats a request whose connection was closed.
      assert.ok(visitor.tokens() === calls + 1 || rule.drop, 'a call refreshes once');
      assert.deepEqual([await who(page), await visitor.cookie()], [visitor.user.username, cookie]);
    }
    let began;
    visitor.proxy.rule = ({ path }) => (path === '/token' ? ((began = Date.now()), { status: 503, headers: { 'Retry-After': '2' } }) : {});
    await ask(page);
    visitor.proxy.rule = () => ({});
    assert.equal(await ask(page), 200);
    assert.ok(Date.now() - began >= 1900, 'Retry-After is respected');
    assert.deepEqual((await heard(page)).filter((event) => event.startsWith('null')), ['null undefined']);
  });

  scenario('a_session_that_ended_is_told_once_in_each_tab', async (visitor) => {
    const [a, b] = [await visitor.signedIn(), await visitor.signedIn()];
    const token = await visitor.stack.token(visitor.user.username);
    await visitor.stack.call(`${visitor.stack.auth}/me/sessions`, 'DELETE', undefined, token);
    await until(async () => (await ask(a)) === 'signed_out', 'the tab is signed out');
    await becomes(b, null);
    for (const page of [a, b]) {
      assert.deepEqual((await heard(page)).slice(-1), ['null invalid_refresh_token']);
      assert.equal((await heard(page)).filter((event) => event === 'null invalid_refresh_token').length, 1);
    }
    const calls = visitor.tokens();
    assert.equal(await ask(a), 'signed_out');
    assert.equal(visitor.tokens(), calls, 'no tab refreshes again');
  });

  scenario('a_cookie_that_is_gone_is_told_once_and_is_no_failure_of_a_sign_out', async (visitor) => {
    const page = await visitor.signedIn();
    await visitor.expire();
    await visitor.context.clearCookies();
    assert.equal(await ask(page), 'signed_out');
    assert.deepEqual((await heard(page)).slice(-1), ['null no_cookie']);
    await visitor.signIn(page);
    await visitor.context.clearCookies();
    await page.evaluate(() => session.signOut());
    assert.deepEqual((await heard(page)).slice(-1), ['null signed_out']);
  });

  scenario('a_visitor_who_never_signed_in_costs_one_call_per_page_load', async (visitor) => {
    const page = await visitor.open();
    assert.equal(await page.evaluate(() => session.start()), null);
    assert.deepEqual(await page.evaluate(() => Promise.all([ask(), ask(), session.start().then(String)])), ['signed_out', 'signed_out', 'null']);
    assert.equal(visitor.tokens(), 1);
    assert.deepEqual(await heard(page), ['null undefined']);
  });

  scenario('a_reload_during_the_refresh_stays_signed_in', async (visitor) => {
    const page = await visitor.signedIn();
    await visitor.expire();
    const late = visitor.holdTokens();
    await page.evaluate(() => void ask());
    await late.reached();
    await page.reload();
    late.open();
    await visitor.hold(page);
    assert.equal(await page.evaluate(() => session.start().then((user) => user?.username)), visitor.user.username);
  });

  scenario('a_tab_closed_during_the_refresh_is_signed_in_when_it_comes_back_after_the_grace', async (visitor) => {
    const page = await visitor.signedIn();
    await visitor.context.newPage(); // Chromium would exit without a tab.
    await visitor.expire();
    const cookie = await visitor.cookie();
    const late = visitor.holdTokens();
    await page.evaluate(() => void ask());
    await late.reached();
    await page.close();
    late.open();
    await until(async () => (await visitor.cookie()) !== cookie, 'the cookie of the answer is kept');
    await sleep(2500);
    const again = await visitor.open();
    assert.equal(await again.evaluate(() => session.start().then((user) => user?.username)), visitor.user.username);
  });

  scenario('a_frozen_tab_refreshes_once_when_it_wakes', async (visitor) => {
    const page = await visitor.signedIn();
    const devtools = await visitor.context.newCDPSession(page);
    await devtools.send('Page.setWebLifecycleState', { state: 'frozen' });
    await visitor.expire();
    const calls = visitor.tokens();
    await devtools.send('Page.setWebLifecycleState', { state: 'active' });
    assert.equal(await ask(page), 200);
    assert.equal(visitor.tokens(), calls + 1);
  });

  for (const [what, ahead] of [['a_day_ahead', 86400000], ['a_day_behind', -86400000]]) {
    // faketime makes Chromium spin in timed waits, so the test replaces `Date` before the page's scripts run.
    scenario(`a_clock_${what}_and_changed_while_running_makes_no_difference`, async (visitor) => {
      await visitor.context.addInitScript((ahead) => {
        const Real = Date;
        globalThis.ahead = ahead;
        globalThis.Date = class extends Real {
          constructor(...given) {
            super(...(given.length ? given : [Date.now()]));
          }

          static now = () => Real.now() + globalThis.ahead;
        };
      }, ahead);
      const page = await visitor.signedIn();
      const off = await page.evaluate(() => new Date().getTime());
      assert.equal(Math.sign(off - Date.now()), Math.sign(ahead), 'the clock is off');
      assert.deepEqual([await ask(page), await ask(page)], [200, 200]);
      await page.evaluate(() => (globalThis.ahead *= -1));
      assert.equal(await ask(page), 200);
      const calls = visitor.tokens();
      await visitor.expire();
      assert.equal(await ask(page), 200);
      assert.equal(visitor.tokens(), calls + 1, 'one refresh, not a loop');
      assert.equal(await who(page), visitor.user.username);
    });
  }

  scenario('a_sign_out_in_one_tab_wins_over_a_refresh_in_another', async (visitor) => {
    const [a, b] = [await visitor.signedIn(), await visitor.signedIn()];
    await visitor.expire();
    const late = visitor.holdTokens();
    await b.evaluate(() => void (globalThis.answer = ask()));
    await late.reached();
    await a.evaluate(() => session.signOut());
    await becomes(b, null);
    late.open();
    assert.equal(await b.evaluate(() => answer), 'signed_out');
    await until(async () => !(await visitor.cookie()), 'the cookie is gone');
    assert.deepEqual([await who(a), await who(b)], [null, null]);
    const later = await visitor.open();
    assert.equal(await later.evaluate(() => session.start()), null);
  });

  scenario('a_sign_out_in_the_tab_that_refreshes_ends_signed_out', async (visitor) => {
    const page = await visitor.signedIn();
    await visitor.expire();
    const late = visitor.holdTokens();
    await page.evaluate(() => void (globalThis.answer = ask()));
    await late.reached();
    await page.evaluate(() => session.signOut());
    late.open();
    assert.equal(await page.evaluate(() => answer), 'signed_out');
    assert.deepEqual([await who(page), await visitor.cookie()], [null, undefined]);
    assert.equal((await visitor.stack.sessions(visitor.user.username)).length, 0);
  });

  scenario('a_sign_out_that_failed_says_so_and_can_be_asked_again', async (visitor) => {
    const page = await visitor.signedIn();
    visitor.proxy.rule = ({ path }) => (path === '/logout' ? { status: 503, headers: { 'Retry-After': '1' } } : {});
    assert.equal(await page.evaluate(() => session.signOut().catch(({ code }) => code)), 'unavailable');
    assert.equal(await who(page), visitor.user.username);
    visitor.proxy.rule = () => ({});
    await page.evaluate(() => session.signOut());
    assert.equal(await who(page), null);
    assert.equal((await visitor.stack.sessions(visitor.user.username)).length, 0);
  });

  scenario('a_sign_out_arrives_though_the_tab_closes_at_once', async (visitor) => {
    const page = await visitor.signedIn();
    await visitor.context.newPage();
    visitor.proxy.rule = ({ path }) => ({ before: path === '/logout' ? 500 : 0 });
    await page.evaluate(() => void session.signOut());
    await page.close();
    await until(async () => (await visitor.stack.sessions(visitor.user.username)).length === 0, 'the session ends');
  });

  scenario('another_user_in_one_tab_is_never_served_with_the_first_users_token_in_another', async (visitor) => {
    const [a, b] = [await visitor.signedIn(), await visitor.signedIn()];
    const other = await visitor.stack.register();
    await a.evaluate(() => session.signOut());
    await visitor.signIn(a, other);
    await until(async () => (await heard(b)).at(-1) === 'undefined user_changed', 'the second tab gets the event');
    assert.equal(await who(b), null, 'the first user is dropped');
    const asked = b.waitForRequest((request) => request.url().startsWith(visitor.stack.books) && request.headers().authorization);
    await ask(b);
    const sent = (await asked).headers().authorization.split('.')[1];
    assert.equal(JSON.parse(Buffer.from(sent, 'base64url')).username, other.username);
    assert.equal(await who(b), other.username);
  });
});

describe('session.js, edge cases', { concurrency: 6 }, () => {
  scenario('a_page_of_the_back_button_asks_before_it_shows_anything', async (visitor) => {
    // chromium-headless-shell has no back/forward cache.
    visitor.context = await (await launch({ executablePath: '/usr/bin/chromium' })).newContext();
    await back_button_asks_before_it_shows_anything(visitor);
  });

  scenario('a_lock_that_is_never_released_holds_nobody_up', lock_that_is_never_released_delays_a_call_by_three_seconds);

  scenario('a_listener_may_await_calls_of_the_session', async (visitor) => {
    const page = await visitor.open();
    await page.evaluate(() => {
      globalThis.nested = [];
      session.addEventListener('change', async ({ detail: { user } }) => user && nested.push(await ask()));
    });
    await page.evaluate(() => session.start());
    await visitor.signIn(page);
    await until(() => page.evaluate(() => nested.length === 1), 'the nested call ends after the sign-in');
    const again = await visitor.open();
    assert.equal(await again.evaluate(async () => {
      const nested = new Promise((done) => session.addEventListener('change', async () => done(await session.fetch(globalThis.books))));
      await session.start();
      return (await nested).status;
    }), 200);
  });

  scenario('a_browser_without_locks_channels_and_storage_signs_in_all_the_same', async (visitor) => {
    const page = await visitor.signedIn();
    await visitor.expire();
    assert.equal(await ask(page), 200);
    await page.evaluate(() => session.signOut());
    assert.equal(await who(page), null);
    assert.deepEqual(page.said.filter((line) => line.startsWith('uncaught')), []);
  }, { init: () => {
    const blocked = { get: () => { throw new DOMException('blocked', 'SecurityError'); } };
    for (const name of ['localStorage', 'sessionStorage', 'BroadcastChannel', 'indexedDB']) Object.defineProperty(globalThis, name, blocked);
    Object.defineProperty(Navigator.prototype, 'locks', blocked);
  } });

  scenario('a_body_is_sent_again_only_where_it_can_be', async (visitor) => {
    const page = await visitor.signedIn();
    const url = `${visitor.site}/first-401`;
    const sent = (key) => bodies.filter((body) => body.key === key);
    const statuses = await page.evaluate(async (url) => {
      const post = async (key, body) => (await session.fetch(url, { method: 'POST', body, headers: { 'X-Key': key } })).status;
      const form = new FormData();
      form.set('name', 'value');
      const done = [await post('text', 'some text'), await post('blob', new Blob(['some bytes'])), await post('form', form)];
      const request = new Request(url, { method: 'POST', body: 'once', headers: { 'X-Key': 'request' } });
      return [...done, (await session.fetch(request)).status];
    }, url);
    assert.deepEqual(statuses, [200, 200, 200, 401]);
    for (const key of ['text', 'blob']) assert.equal(sent(key)[0].text, sent(key)[1].text);
    assert.deepEqual(['text', 'blob', 'form', 'request'].map((key) => sent(key).length), [2, 2, 2, 1]);
    const calls = bodies.length;
    assert.equal(await page.evaluate((url) => session.fetch(url, { method: 'POST', body: 'x' }).then(({ status }) => status), `${visitor.site}/503`), 503);
    assert.equal(bodies.length, calls + 1, 'never after a 503');
  });

  scenario('a_sign_in_of_the_same_user_elsewhere_during_a_call_gives_the_retry_a_new_token', async (visitor) => {
    const page = await visitor.signedIn();
    assert.equal(await page.evaluate(async (url) => {
      const call = session.fetch(url);
      new BroadcastChannel(`session ${session.auth}`).postMessage({ in: session.user.id });
      return (await call).status;
    }, `${visitor.site}/slow-401`), 200);
    assert.equal(late.length, 2);
    assert.match(late[1], /^Bearer \S+$/);
    assert.notEqual(late[0], late[1]);
  });

  scenario('the_access_token_goes_to_named_origins_alone_and_is_kept_nowhere', async (visitor) => {
    const page = await visitor.open();
    await page.evaluate(() => {
      globalThis.messages = [];
      new BroadcastChannel(`session ${session.auth}`).onmessage = ({ data }) => messages.push(JSON.stringify(data));
    });
    await visitor.signIn(page);
    assert.match(await ask(page, 'https://evil.example/'), /is no origin of this session/);
    assert.match(await ask(page, `${visitor.site}/redirect`), /Failed to fetch/);
    assert.deepEqual(elsewhere.filter(({ authorization }) => authorization), []);
    await ask(page);
    const token = await page.requests.findLast((request) => request.headers().authorization).headers().authorization.slice(7);
    await page.evaluate(() => session.signOut());
    const kept = await page.evaluate(async () => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, await indexedDB.databases(), await caches.keys(), location.href, history.state, messages, Object.values(session)]));
    assert.ok(kept.includes('signed_out') && !kept.includes(token.split('.')[1]), kept);
    assert.ok(page.requests.every((request) => !request.url().includes(token)));
    assert.ok(!page.said.join().includes(token));
    assert.ok((await visitor.context.cookies()).every(({ value }) => value !== token));
  });

  scenario('dispose_leaves_nothing_and_two_instances_live_side_by_side', async (visitor) => {
    const page = await visitor.signedIn();
    await page.evaluate(() => {
      globalThis.second = new Session({ auth: session.auth, services: [...session.origins] });
      return second.start();
    });
    assert.equal(await page.evaluate(() => second.user.username), visitor.user.username);
    const done = await page.evaluate(async () => {
      second.dispose();
      const late = await second.fetch(books).catch(({ code }) => code);
      await session.signOut();
      await new Promise((next) => setTimeout(next, 300));
      const { held, pending } = await navigator.locks.query();
      return [late, second.user !== null, held.length, pending.length];
    });
    assert.deepEqual(done, ['disposed', true, 0, 0]);
  });

  scenario('a_disabled_account_is_told_once', async (visitor) => {
    const [a, b] = [await visitor.signedIn(), await visitor.signedIn()];
    await visitor.stack.asJohn('PATCH', `${visitor.stack.auth}/users/${visitor.user.id}`, { disabled: true });
    await until(async () => (await ask(a)) === 'signed_out', 'the tab is signed out');
    await becomes(b, null);
    for (const page of [a, b]) assert.equal((await heard(page)).filter((event) => event === 'null invalid_refresh_token').length, 1);
  });

  scenario('sign_out_in_another_tab_while_a_refresh_returns_is_signed_out', async (visitor) => {
    const page = await visitor.signedIn();
    const code = await page.evaluate(async () => {
      const name = `session ${session.auth}`;
      // `witness` is newer than the session's own channel, so it receives each message after the session.
      const [channel, witness, fetch] = [new BroadcastChannel(name), new BroadcastChannel(name), globalThis.fetch];
      const tell = (message) => new Promise((received) => ((witness.onmessage = received), channel.postMessage(message)));
      let sid;
      globalThis.fetch = async (...call) => {
        const response = await fetch(...call);
        if (String(call[0]).endsWith('/token')) ({ sid } = JSON.parse(atob((await response.clone().json()).accessToken.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))));
        return response;
      };
      navigator.locks.request = async (name, options, run) => {
        await run();
        await tell({ out: sid, reason: 'signed_out' });
      };
      await tell({ in: session.user.id });
      return ask();
    });
    assert.equal(code, 'signed_out');
    assert.equal(await who(page), null);
  });

  scenario('an_origin_that_is_not_named_gets_no_session', async (visitor) => {
    const stranger = await startSite();
    const page = await visitor.open({ url: stranger });
    assert.equal(await page.evaluate((credentials) => session.signIn(credentials).catch(({ code }) => code), { username: visitor.user.username, password: 'seven quiet owls read maps' }), 'unreachable');
    await visitor.signedIn();
    const again = await visitor.open({ url: stranger });
    assert.equal(await again.evaluate(() => session.start().catch(({ code }) => code)), 'unreachable');
    assert.equal(await again.evaluate(() => session.user), undefined);
  });
});
