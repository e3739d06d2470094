// session.js and the page in WebKit, over TLS, because WebKit stores no Secure cookie of an http page.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { back_button_asks_before_it_shows_anything, lock_that_is_never_released_delays_a_call_by_three_seconds } from './both.mjs';
import { makeCertificate, startSite, startStack, until, PASSWORD } from './harness.mjs';
import { Visitor } from './visitor.mjs';
import { Context, startWebKit } from './webdriver.mjs';

// The certificate is self-signed, and the tests call the services too.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const world = {};
before(async () => {
  const certificate = makeCertificate();
  world.site = await startSite({}, certificate);
  world.stack = await startStack({ ACCESS_TOKEN_TTL: '1s', ALLOWED_ORIGINS: world.site, ...certificate.settings });
  world.webkit = await startWebKit();
});

const scenario = (name, story) =>
  it(name, { timeout: 60000 }, async () => {
    const context = await Context.open(world.webkit);
    try {
      await story(await Visitor.arrive(world, { context, proxy: { url: world.stack.auth } }));
    } finally {
      await context.close();
    }
  });

describe('WebKit', () => {
  scenario('webkit_back_button_asks_before_it_shows_anything', back_button_asks_before_it_shows_anything);

  scenario('webkit_lock_that_is_never_released_delays_a_call_by_three_seconds', lock_that_is_never_released_delays_a_call_by_three_seconds);

  scenario('webkit_back_button_after_a_sign_out_shows_nothing_of_the_catalogue', async ({ context, stack, user }) => {
    const [page, second] = [await context.newPage(), await context.newPage()];
    const says = (tab, text) => until(() => tab.evaluate((text) => document.querySelector('main')?.innerText.includes(text), text), `the page says: ${text}`);
    await page.goto(stack.books);
    await says(page, 'Sign in');
    await page.evaluate((values) => {
      for (const [name, value] of Object.entries(values)) document.querySelector(`[name=${name}]`).value = value;
      document.querySelector('form').requestSubmit();
    }, { username: user.username, password: PASSWORD });
    await says(page, 'Fairy tales');
    await page.evaluate(() => addEventListener('pageshow', ({ persisted }) => (globalThis.shown = { persisted, text: document.querySelector('main').innerText })));
    await second.goto(stack.books);
    await says(second, 'Fairy tales');
    await page.goto(`${stack.books}/web/icon.svg`);
    await second.evaluate(() => [...document.querySelectorAll('nav button')].at(-1).click());
    await says(second, 'You are signed out.');
    await page.back();
    const shown = await until(() => page.evaluate(() => globalThis.shown).catch(() => null), 'the browser restores the page from its back/forward cache');
    assert.deepEqual(shown, { persisted: true, text: '' });
    await says(page, 'Sign in');
  });
});
