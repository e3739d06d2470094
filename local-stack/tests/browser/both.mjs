// Scenarios of session.js that run in Chromium and in WebKit.
import assert from 'node:assert/strict';
import { until } from './harness.mjs';
import { ask } from './visitor.mjs';

/** Goes back in the history. Playwright has no method that works with the back/forward cache. */
const back = (page) => (page.back ? page.back() : page.evaluate(() => setTimeout(() => history.back())));

export async function back_button_asks_before_it_shows_anything(visitor) {
  const page = await visitor.signedIn();
  await page.evaluate(() => {
    addEventListener('pagehide', () => (globalThis.hidden = { user: session.user ?? null }));
    addEventListener('pageshow', ({ persisted }) => (globalThis.persisted = persisted));
  });
  const other = await visitor.open({ session: {} });
  await page.goto(`${visitor.site}/elsewhere`);
  await other.evaluate(() => session.start());
  await other.evaluate(() => session.signOut());
  await back(page);
  await until(() => page.evaluate(() => globalThis.persisted ?? false).catch(() => false), 'the browser restores the page from its back/forward cache');
  assert.equal(await page.evaluate(() => session.user), undefined, 'the user is not known yet');
  assert.equal(await page.evaluate(() => session.start()), null);
}

export async function lock_that_is_never_released_delays_a_call_by_three_seconds(visitor) {
  const [page, b] = [await visitor.signedIn(), await visitor.open()];
  await visitor.expire();
  await b.evaluate((auth) => void navigator.locks.request(`session ${auth}`, () => new Promise(() => {})), visitor.proxy.url);
  const began = Date.now();
  assert.equal(await ask(page), 200);
  assert.ok(Date.now() - began > 2900 && Date.now() - began < 6000, `${Date.now() - began} ms`);
}
