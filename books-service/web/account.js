import { account as calls, session } from './api.js';
import { button, busy, date, dialog, el, field, form, moment, scroll, skeleton, toast } from './ui.js';

/** The user's own account. */
export async function account(signal) {
  const profile = await calls.profile(signal);
  const address = profile.email ? `${profile.email}${profile.emailVerified === false ? ' (not confirmed)' : ''}` : 'none';
  const facts = [['User name', profile.username], ['Email', address], ['Role', profile.role], ['Here since', date(profile.createdAt)]];
  return [
    el('div', { className: 'head' }, el('h1', {}, 'My account')),
    el('div', { className: 'account' },
      el('section', { className: 'card' }, el('dl', {}, ...facts.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))))),
      devices(signal),
      // Absent if auth-service sends no mail.
      profile.emailVerified !== undefined && email(),
      password(profile),
      el('section', { className: 'card' }, el('h2', {}, 'Delete the account'),
        el('p', {}, 'Your account and all its sessions are gone at once, for good.'),
        el('div', { className: 'actions' }, button('Delete my account …', leave, 'danger')))),
  ];
}

/** The browser and system that a `User-Agent` names. */
function device(label) {
  const find = (names) => names.find(([pattern]) => pattern.test(label))?.[1];
  const browser = find([[/Edg\//, 'Edge'], [/OPR\//, 'Opera'], [/Firefox\//, 'Firefox'], [/Chrom(e|ium)\//, 'Chrome'], [/Safari\//, 'Safari'], [/curl\//, 'curl']]);
  const system = find([[/Android/, 'Android'], [/iPhone|iPad/, 'iOS'], [/Mac OS X/, 'macOS'], [/Windows/, 'Windows'], [/CrOS/, 'ChromeOS'], [/Linux/, 'Linux']]);
  return [browser ?? (label.slice(0, 40) || 'Unknown device'), system].filter(Boolean).join(' on ');
}

function devices(signal) {
  const list = el('ul', { className: 'rows', 'aria-label': 'Devices', 'aria-busy': 'true' }, ...skeleton(2));
  const end = (id, row, name) => ({ target }) => busy(target, async () => {
    await calls.endDevice(id);
    const next = (row().nextElementSibling ?? row().previousElementSibling)?.querySelector('button');
    row().remove();
    (next ?? document.querySelector('main')).focus();
    toast(`${name} is signed out.`);
  });
  const item = ({ id, label, address, lastUsedAt, current }) => {
    const name = device(label);
    const row = el('li', {}, el('div', { className: 'what' }, el('strong', {}, name, current && el('span', { className: 'badge' }, 'This device')),
      el('span', { className: 'facts' }, address && `${address} · `, 'last used ', moment(lastUsedAt))),
    !current && el('button', { type: 'button', className: 'button', 'aria-label': `Sign out ${name}, ${address}`, onclick: end(id, () => row, name) }, 'Sign out'));
    return row;
  };
  const load = (url) => calls.page(url, signal);
  const everywhere = ({ target }) => busy(target, async () => {
    await calls.endAll();
    await session.signOut();
  });
  return el('section', { className: 'card' }, el('h2', {}, 'Where you are signed in'), ...scroll(list, calls.devices, load, item, () => ''),
    el('div', { className: 'actions' }, button('Sign out everywhere', everywhere, 'danger')));
}

function email() {
  const submit = async (fields) => {
    await calls.changeEmail(fields).catch(explainPassword);
    node.reset();
    toast(`A mail is on its way to ${fields.email}. The address is yours once you confirm it by the link.`);
  };
  const node = form([
    field('email', 'New email', { type: 'email', autocomplete: 'email', required: true }),
    field('currentPassword', 'Your password', { type: 'password', autocomplete: 'current-password', required: true }),
  ], 'Change email', submit);
  return el('section', { className: 'card' }, el('h2', {}, 'Email'), node);
}

function password({ username }) {
  const submit = async ({ currentPassword, newPassword }) => {
    await calls.changePassword({ currentPassword, newPassword }).catch(explainPassword);
    node.reset();
    toast('The password is changed. All other devices are signed out.');
  };
  const node = form([
    el('input', { type: 'text', name: 'username', value: username, autocomplete: 'username', hidden: true, readOnly: true }),
    field('currentPassword', 'Current password', { type: 'password', autocomplete: 'current-password', required: true }),
    field('newPassword', 'New password', { type: 'password', autocomplete: 'new-password', required: true }, 'At least 8 characters, and not easy to guess.'),
  ], 'Change password', submit);
  return el('section', { className: 'card' }, el('h2', {}, 'Password'), node);
}

function leave() {
  const submit = async (fields) => {
    await calls.leave(fields).catch(explainPassword);
    await session.signOut();
    toast('Your account is deleted.');
  };
  dialog('Delete my account', el('p', {}, 'This cannot be undone. Type your password to confirm.'),
    form([field('currentPassword', 'Password', { type: 'password', autocomplete: 'current-password', required: true, autofocus: true })], 'Delete my account', submit, 'danger'));
}

/** Reports a wrong current password at its field. */
function explainPassword(error) {
  if (error.code === 'invalid_credentials') error.errors = [{ field: 'currentPassword', message: 'is wrong' }];
  throw error;
}
