// User journeys through the page, from the sign-in form to sign-out and account deletion.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { PASSWORD, until } from './harness.mjs';
import { Desk, is_clean, searches_until, toast } from './desk.mjs';

let desk;
before(async () => {
  desk = await Desk.open({ ACCESS_TOKEN_TTL: '15m' });
});
const journey = (name, story) => it(name, { timeout: 150000 }, story);

describe('the page', { concurrency: 4 }, () => {
  journey('newcomer_registers_reads_and_signs_out', async () => {
    const page = await desk.page();
    await page.getByRole('button', { name: 'Register' }).click();
    await page.getByLabel('User name').fill('x');
    await page.getByLabel('Password').fill('12345678');
    await page.getByRole('button', { name: 'Register' }).click();
    const name = page.getByLabel('User name');
    await until(async () => (await name.getAttribute('aria-invalid')) === 'true', 'the field is marked');
    assert.match(await name.evaluate((input) => document.getElementById(`${input.id}-error`).textContent), /^User name .*3/);
    assert.ok(await name.evaluate((input) => input === document.activeElement), 'the first wrong field has the focus');
    const username = `r-${Date.now().toString(36)}`;
    await name.fill(username);
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Register' }).click();
    await toast(page, `Welcome, ${username}`);
    assert.equal(await page.getByRole('link', { name: 'People' }).count(), 0, 'a member sees no link for admins');
    assert.equal(await page.getByRole('button', { name: 'Add a book' }).count(), 0);
    await page.getByRole('link', { name: /Fairy tales/ }).click();
    await page.getByRole('heading', { name: 'Fairy tales' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Edit' }).count(), 0);
    await page.evaluate(() => (location.hash = '#/people'));
    await page.getByRole('heading', { name: 'Nothing here' }).waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    is_clean(page);
  });

  journey('wrong_password_is_said_beside_the_form', async () => {
    const page = await desk.page();
    await page.getByLabel('User name or email').fill('anna');
    await page.getByLabel('Password', { exact: true }).fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('The name or the password is wrong.').waitFor();
    is_clean(page);
  });

  journey('forgotten_password_without_mail_says_that_an_admin_makes_a_link', async () => {
    const page = await desk.page();
    await page.getByRole('button', { name: 'Forgot your password?' }).click();
    await page.getByLabel('Email').fill('anna@example.org');
    await page.getByRole('button', { name: 'Send a link' }).click();
    await page.getByText('This service sends no mail. Ask an admin for a link.').waitFor();
    is_clean(page);
  });

  journey('search_sort_and_pages_that_follow_as_they_are_scrolled_to', async () => {
    await desk.addBooks(90, 'Shelfmark');
    const { page } = await desk.member();
    const books = page.getByRole('list', { name: 'Books' }).getByRole('listitem');
    await page.getByLabel('Search').fill('shelfmark');
    await page.getByText('90 books').waitFor();
    await until(async () => (await books.count()) >= 40, 'a first page');
    await until(async () => {
      await page.mouse.wheel(0, 4000);
      return (await books.count()) === 90;
    }, 'all pages');
    await page.getByLabel('Sort by').selectOption('-pages');
    await until(async () => (await books.first().textContent()).includes('Shelfmark 090'), 'the book with the most pages is first');
    await page.getByLabel('Search').fill('no such book');
    await page.getByRole('heading', { name: 'No book matches' }).waitFor();
    await page.getByLabel('Search').fill('shelfmark 07');
    await page.getByText('10 books').waitFor();
    await page.getByRole('link', { name: /Shelfmark 077/ }).click();
    await page.getByRole('link', { name: '← Catalogue' }).click();
    await page.getByText('10 books').waitFor();
    assert.equal(await page.getByLabel('Search').inputValue(), 'shelfmark 07', 'the link back keeps the search');
    await page.reload();
    await page.getByText('10 books').waitFor();
    is_clean(page);
  });

  journey('admin_adds_edits_undoes_deletes_and_undoes_with_errors_beside_the_fields', async () => {
    const page = await desk.john();
    await page.getByRole('button', { name: 'Add a book' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add a book' });
    for (const [label, text] of [['Title', 'Emma'], ['Author', 'Jane Austen'], ['Country', 'England'], ['Language', 'English'], ['Pages', '0'], ['Year', 'long ago']]) await dialog.getByLabel(label).fill(text);
    await dialog.getByRole('button', { name: 'Add' }).click();
    await until(async () => (await dialog.locator('[aria-invalid]').count()) > 0, 'fields are marked');
    await dialog.getByLabel('Year').fill('1815');
    await dialog.getByRole('button', { name: 'Add' }).click();
    await until(async () => /^Pages must/.test(await dialog.locator('.error:not(:empty)').first().textContent()), 'the number of pages is refused');
    await dialog.getByLabel('Pages').fill('474');
    await dialog.getByRole('button', { name: 'Add' }).click();
    await toast(page, '“Emma” is in the catalogue.');
    await page.getByRole('heading', { name: 'Emma' }).waitFor();
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.getByRole('dialog').getByLabel('Pages').fill('500');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('dd', { hasText: '500' }).waitFor();
    await page.locator('.toast', { hasText: 'saved' }).getByRole('button', { name: 'Undo' }).click();
    await page.locator('dd', { hasText: '474' }).waitFor();
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.locator('.toast', { hasText: 'was deleted' }).getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('heading', { name: 'Emma' }).waitFor();
    is_clean(page);
  });

  journey('edit_conflict_shows_what_the_other_person_wrote', async () => {
    const [{ id }] = await desk.addBooks(1, 'Contested');
    const page = await desk.john();
    await page.evaluate((id) => (location.hash = `#/books/${id}`), id);
    await page.getByRole('button', { name: 'Edit' }).click();
    await desk.stack.asJohn('PATCH', `${desk.stack.books}/books/${id}`, { author: 'Somebody Else' });
    await page.getByRole('dialog').getByLabel('Title').fill('Contested, revised');
    await page.getByRole('button', { name: 'Save' }).click();
    const conflict = page.getByRole('alert').filter({ hasText: 'was changed while you edited it' });
    await conflict.getByRole('cell', { name: 'Somebody Else' }).waitFor();
    assert.equal(await page.getByRole('dialog').getByLabel('Title').inputValue(), 'Contested, revised', 'nothing typed is lost');
    await conflict.getByRole('button', { name: 'Take what is in the catalogue' }).click();
    assert.equal(await page.getByRole('dialog').getByLabel('Author').inputValue(), 'Somebody Else');
    await page.getByRole('dialog').getByLabel('Title').fill('Contested, revised');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Contested, revised' }).waitFor();
    await page.locator('p.author', { hasText: 'Somebody Else' }).waitFor();
    await desk.stack.asJohn('PATCH', `${desk.stack.books}/books/${id}`, { pages: 77 });
    await page.getByRole('button', { name: 'Delete' }).click();
    await toast(page, 'so it was not deleted');
    await page.locator('dd', { hasText: '77' }).waitFor();
    is_clean(page);
  });

  journey('write_whose_response_is_lost_may_have_been_saved_and_toasts_leave_with_their_user', async () => {
    const [{ id }] = await desk.addBooks(1, 'Lost');
    const page = await desk.john();
    await page.route(`**/books/${id}`, async (route) => {
      const response = await route.fetch();
      const headers = { ...response.headers(), etag: `W/${response.headers().etag}` };
      return route.request().method() === 'GET' ? route.fulfill({ response, headers }) : route.abort();
    });
    await page.evaluate((id) => (location.hash = `#/books/${id}`), id);
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.getByRole('dialog').getByLabel('Title').fill('Lost, revised');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('The change may have been saved').waitFor();
    assert.equal((await desk.stack.asJohn('GET', `${desk.stack.books}/books/${id}`)).title, 'Lost, revised', 'the weak ETag was sent as a strong one');
    await page.unroute(`**/books/${id}`);
    await page.reload();
    await page.getByRole('button', { name: 'Delete' }).click();
    await toast(page, 'was deleted');
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    assert.equal(await page.locator('.toast').count(), 0);
    is_clean(page);
  });

  journey('member_ends_a_device_changes_the_password_and_leaves', async () => {
    const { page, user } = await desk.member();
    await desk.stack.token(user.username);
    await page.getByRole('link', { name: 'my account' }).click();
    const devices = page.getByRole('list', { name: 'Devices' }).getByRole('listitem');
    await until(async () => (await devices.count()) === 2, 'two devices');
    await devices.getByRole('button', { name: /^Sign out/ }).click();
    await until(async () => (await devices.count()) === 1, 'one device');
    await page.getByLabel('Current password').fill('wrong');
    await page.getByLabel('New password').fill('nine small boats at noon');
    await page.getByRole('button', { name: 'Change password' }).click();
    await page.getByText('Current password is wrong.').waitFor();
    await page.getByLabel('Current password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Change password' }).click();
    await toast(page, 'The password is changed');
    await page.getByRole('button', { name: 'Delete my account' }).click();
    await page.getByRole('dialog').getByLabel('Password').fill('nine small boats at noon');
    await page.getByRole('dialog').getByRole('button', { name: 'Delete my account' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await assert.rejects(desk.stack.token(user.username, 'nine small boats at noon'), /401/);
    is_clean(page);
  });

  journey('sign_out_everywhere_reaches_every_tab_and_device', async () => {
    const { page, user } = await desk.member();
    const second = await desk.tab(page.context());
    await second.getByRole('heading', { name: 'Catalogue' }).waitFor();
    const away = await desk.page();
    await desk.signIn(away, user.username);
    await page.getByRole('link', { name: 'my account' }).click();
    await page.getByRole('button', { name: 'Sign out everywhere' }).click();
    for (const one of [page, second]) await one.getByText('You are signed out.').waitFor();
    await searches_until(away, 'Your session has ended.');
    for (const one of [page, second, away]) is_clean(one);
  });

  journey('admin_finds_promotes_disables_and_signs_out_a_person', async () => {
    const { page: theirs, user } = await desk.member();
    const page = await desk.john();
    await page.getByRole('link', { name: 'People' }).click();
    await page.getByRole('heading', { name: 'People' }).waitFor();
    await page.getByLabel('Search').fill(user.username);
    const row = page.getByRole('list', { name: 'Accounts' }).getByRole('listitem');
    await until(async () => (await row.count()) === 1 && (await row.textContent()).includes(user.username), 'the person is found');
    await row.getByRole('button', { name: 'Make admin' }).click();
    await page.locator('.toast', { hasText: 'is an admin now' }).getByRole('button', { name: 'Undo' }).click();
    await toast(page, 'is as before');
    await row.getByRole('button', { name: 'Sign out' }).click();
    await toast(page, 'is signed out everywhere');
    await searches_until(theirs, 'Your session has ended.');
    await row.getByRole('button', { name: 'Disable' }).click();
    await row.getByText('Disabled').waitFor();
    await theirs.getByLabel('User name or email').fill(user.username);
    await theirs.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await theirs.getByRole('button', { name: 'Sign in' }).click();
    await theirs.getByText('The name or the password is wrong.').waitFor();
    await row.getByRole('button', { name: 'Enable' }).click();
    await until(async () => (await row.getByText('Disabled').count()) === 0, 'enabled');
    await desk.signIn(theirs, user.username);
    is_clean(page);
    is_clean(theirs);
  });

  journey('keyboard_alone_reaches_everything_and_the_focus_returns', async () => {
    const page = await desk.page();
    const focused = () => page.evaluate(() => (document.activeElement.labels?.[0] ?? document.activeElement).textContent.trim());
    const tab = async (label) => until(async () => (await page.keyboard.press('Tab'), (await focused()) === label), `the focus reaches ${label}`);
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await tab('User name or email');
    await page.keyboard.type('john');
    await tab('Password');
    await page.keyboard.type('password123admin');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Catalogue' }).waitFor();
    await tab('Add a book');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    assert.equal(await focused(), 'Title');
    await page.keyboard.press('Escape');
    assert.equal(await focused(), 'Add a book', 'the focus returns');
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, 'solid', 'the focus is visible');
    is_clean(page);
  });

  journey('skip_link_leads_to_the_content_of_the_view', async () => {
    const page = await desk.page();
    await desk.signIn(page, 'john', 'password123admin');
    await page.getByRole('link', { name: 'john, my account' }).click();
    await page.getByRole('heading', { name: 'My account' }).waitFor();
    await page.locator('.skip').focus();
    await page.keyboard.press('Enter');
    await until(async () => page.evaluate(() => document.activeElement.id === 'main'), 'the focus is at the content');
    assert.equal(await page.getByRole('heading', { name: 'My account' }).count(), 1);
    assert.match(page.url(), /#\/account$/);
    is_clean(page);
  });

  journey('search_that_is_refused_names_the_reason', async () => {
    const page = await desk.page();
    await desk.signIn(page, 'anna', 'password123member');
    await page.getByLabel('Search').fill('one two three four five six seven eight nine');
    await page.getByText(/^q .*8/).waitFor();
    assert.equal(await page.locator('.count').textContent(), '');
    is_clean(page);
  });
});
