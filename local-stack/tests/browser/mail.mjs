// Account recovery: a link by mail, and a link that an admin creates.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { startMail, until, PASSWORD } from './harness.mjs';
import { Desk, is_clean, toast } from './desk.mjs';

const NEW = 'nine small boats at noon';

let desk;
let mail;
before(async () => {
  mail = await startMail();
  desk = await Desk.open(mail.settings);
});
const journey = (name, story) => it(name, { timeout: 150000 }, story);

/** Opens `link`, enters a password on its page, and waits for the text `done`. */
async function follow(page, link, label, button, done) {
  await page.goto(link);
  assert.ok(!page.url().includes('token'), 'the URL does not show the token of the link');
  await page.getByLabel(label).fill(label === 'Password' ? PASSWORD : NEW);
  await page.getByRole('button', { name: button }).click();
  await page.getByText(done).waitFor();
}

const set_password = (page, link) => follow(page, link, 'New password', 'Set password', 'Your password is set.');

describe('mail', { concurrency: 2 }, () => {
  journey('newcomer_confirms_an_address_and_replaces_a_forgotten_password', async () => {
    const page = await desk.page();
    const link = await desk.tab(page.context());
    const name = `m-${Date.now().toString(36)}`;
    const address = `${name}@example.org`;
    await page.getByRole('button', { name: 'Register' }).click();
    await page.getByLabel('User name').fill(name);
    await page.getByLabel('Email').fill(address);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Register' }).click();
    await toast(page, 'its link confirms your address');
    await follow(link, await mail.link(address, 'verify'), 'Password', 'Confirm', 'Your address is confirmed.');
    await page.getByRole('link', { name: 'my account' }).click();
    await page.locator('dd', { hasText: address }).waitFor();
    await page.getByRole('button', { name: 'Sign out', exact: true }).click();

    await page.getByRole('button', { name: 'Forgot your password?' }).click();
    await page.getByLabel('Email').fill(name);
    await page.getByRole('button', { name: 'Send a link' }).click();
    await page.getByText('Email must be an email address').waitFor();
    await page.getByLabel('Email').fill(address);
    await page.getByRole('button', { name: 'Send a link' }).click();
    await page.getByText('a mail with a link is on its way').waitFor();
    await set_password(link, await mail.link(address, 'reset'));
    await page.getByRole('button', { name: 'Back to sign in' }).click();
    await page.getByLabel('User name or email').fill(address);
    await page.getByLabel('Password', { exact: true }).fill(NEW);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'My account' }).waitFor();
    for (const one of [page, link]) is_clean(one);
  });

  journey('member_gives_another_address_and_confirms_it', async () => {
    const { page, user } = await desk.member();
    const address = `${user.username}@example.org`;
    await page.getByRole('link', { name: 'my account' }).click();
    await page.getByLabel('New email').fill(address);
    await page.getByLabel('Your password').fill('wrong');
    await page.getByRole('button', { name: 'Change email' }).click();
    await page.getByText('Your password is wrong.').waitFor();
    await page.getByLabel('Your password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Change email' }).click();
    await toast(page, 'The address is yours once you confirm it');
    const link = await desk.tab(page.context());
    await follow(link, await mail.link(address, 'verify'), 'Password', 'Confirm', 'Your address is confirmed.');
    await page.reload();
    await page.locator('dd', { hasText: address }).waitFor();
    for (const one of [page, link]) is_clean(one);
  });

  journey('admin_makes_a_link_by_which_a_user_sets_a_password', async () => {
    const { page: theirs, user } = await desk.member();
    const page = await desk.john();
    await page.getByRole('link', { name: 'People' }).click();
    await page.getByRole('heading', { name: 'People' }).waitFor();
    await page.getByLabel('Search').fill(user.username);
    await page.getByRole('button', { name: `Reset link: ${user.username}` }).click();
    const link = await page.getByRole('dialog').getByLabel('Link').inputValue();
    await set_password(theirs, link);
    await theirs.goto(link);
    await theirs.getByLabel('New password').fill(PASSWORD);
    await theirs.getByRole('button', { name: 'Set password' }).click();
    await theirs.getByText('The link is not valid any more.').waitFor();
    await theirs.goto(desk.stack.books);
    await theirs.getByRole('heading', { name: 'Sign in' }).waitFor();
    await desk.signIn(theirs, user.username, NEW);
    await until(async () => (await theirs.getByRole('link', { name: 'my account' }).count()) === 1, 'signed in');
    for (const one of [page, theirs]) is_clean(one);
  });
});
