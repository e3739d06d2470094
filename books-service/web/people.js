import { people as calls, session } from './api.js';
import { button, busy, date, dialog, el, field, finder, moment, notice, toast } from './ui.js';

/** The accounts, for an admin: search, change the role, disable, sign out, link to set a password. */
export function people(signal) {
  const { search, results } = finder({
    signal, placeholder: 'User name or email', list: { className: 'rows card', label: 'Accounts', rows: 4 },
    first: calls.first, page: calls.page, item: row,
    empty: () => notice('No account matches', 'Neither a user name nor an email holds this text.'),
  });
  return [el('div', { className: 'head' }, el('h1', {}, 'People')), el('search', { className: 'tools' }, search), results];
}

function row(user) {
  const node = el('li');
  const content = () => [
    el('div', { className: 'what' },
      el('strong', {}, user.username, user.role === 'admin' && el('span', { className: 'badge' }, 'Admin'), user.disabled && el('span', { className: 'badge bad' }, 'Disabled')),
      el('span', { className: 'facts' }, user.email ? `${user.email} · ` : '', 'since ', date(user.createdAt))),
    user.id === session.user.id ? el('span', { className: 'facts' }, 'You') : el('div', { className: 'actions' }, ...actions())];
  /** Draws the row again; the focus stays at the button in the same place. */
  const draw = () => {
    const focused = [...node.querySelectorAll('button')].indexOf(document.activeElement);
    node.replaceChildren(...content());
    node.querySelectorAll('button')[focused]?.focus();
  };
  /** Changes the account, and offers to change it back. */
  const change = async (fields, back, done) => {
    user = await calls.change(user.id, fields);
    draw();
    const undo = back && { action: 'Undo', run: () => change(back, null, `${user.username} is as before.`) };
    toast(done, undo ?? {});
  };
  const control = (label, work, kind = '') => el('button', { type: 'button', className: `button ${kind}`, 'aria-label': `${label}: ${user.username}`, onclick: ({ target }) => busy(target, work) }, label);
  const actions = () => {
    const { username, role, disabled } = user;
    const other = role === 'admin' ? 'member' : 'admin';
    return [
      control(`Make ${other}`, () => change({ role: other }, { role }, `${username} is ${other === 'admin' ? 'an admin' : 'a member'} now.`)),
      control('Reset link', async () => showLink(username, await calls.resetLink(user.id))),
      control('Sign out', async () => (await calls.endSessions(user.id), toast(`${username} is signed out everywhere.`))),
      control(disabled ? 'Enable' : 'Disable', () => change({ disabled: !disabled }, { disabled }, `${username} is ${disabled ? 'enabled' : 'disabled and signed out'}.`), disabled ? '' : 'danger'),
    ];
  };
  draw();
  return node;
}

function showLink(username, { url, expiresAt }) {
  const link = field('link', 'Link', { value: url, readOnly: true });
  const select = () => link.querySelector('input').select();
  const copy = ({ target }) => navigator.clipboard.writeText(url).then(() => (target.textContent = 'Copied'), select);
  dialog(`A link for ${username}`, el('p', {}, 'It sets a password, once, until ', moment(expiresAt), '. Send it to this user alone.'),
    link, el('div', { className: 'actions' }, button('Copy', copy, 'primary')));
}
