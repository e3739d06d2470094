import { account, session } from './api.js';
import { el, field, form, toast } from './ui.js';
import { spine } from './spine.js';

const SHELF = [[310, 'en'], [784, 'da'], [209, 'ga'], [928, 'it'], [420, 'fr'], [150, 'el'], [640, 'ru'], [260, 'ja'], [520, 'ig'], [340, 'sv'], [180, 'he'], [700, 'hi'], [230, 'pt'], [450, 'zh']];

/** The page to sign in, register, or ask for a link to reset a password. `why` says why the session ended. */
export function welcome(why) {
  const card = el('section', { className: 'card door' });
  const turn = (view, reason = why) => {
    card.replaceChildren(...view(turn, reason));
    document.title = `${card.querySelector('h1').textContent} · Reading room`;
    card.querySelector('input').focus();
  };
  turn(member);
  const shelf = el('div', { className: 'shelf-picture', 'aria-hidden': 'true' }, ...SHELF.map(([pages, language], place) => {
    const node = spine({ pages, language });
    node.style.setProperty('--height', `${150 + ((place * 53) % 70)}px`);
    return node;
  }));
  return el('div', { className: 'welcome' }, el('div', { className: 'hall' }, el('p', { className: 'motto' }, 'A quiet place for good books.'), shelf), card);
}

const login = (props) => field('username', 'User name', { autocomplete: 'username', autocapitalize: 'none', spellcheck: false, required: true, ...props });

function member(turn, why) {
  const submit = ({ username, password }) => session.signIn(username.includes('@') ? { email: username, password } : { username, password });
  const wrong = (values) => submit(values).catch((error) => {
    if (error.code === 'invalid_credentials') error.message = 'The name or the password is wrong.';
    throw error;
  });
  return [
    el('h1', {}, 'Sign in'),
    el('p', { className: 'why', role: 'status' }, why),
    form([field('username', 'User name or email', { autocomplete: 'username', autocapitalize: 'none', spellcheck: false, required: true }), field('password', 'Password', { type: 'password', autocomplete: 'current-password', required: true })], 'Sign in', wrong),
    el('p', { className: 'aside' }, 'New here? ', link('Register', () => turn(newcomer))),
    el('p', { className: 'aside' }, link('Forgot your password?', () => turn(forgotten))),
  ];
}

function newcomer(turn) {
  const submit = async ({ username, email, password }) => {
    const { emailVerified } = await account.register({ username, password, ...(email ? { email } : {}) });
    try {
      await session.signIn({ username, password });
    } catch {
      return turn(member, 'Your account is made. Sign in with it.');
    }
    toast(`Welcome, ${username}.${email && emailVerified === false ? ' A mail is on its way: its link confirms your address.' : ''}`);
    return undefined;
  };
  return [
    el('h1', {}, 'Register'),
    form([
      login({}),
      field('email', 'Email', { type: 'email', autocomplete: 'email' }, 'If you like; you can sign in with it, too.'),
      field('password', 'Password', { type: 'password', autocomplete: 'new-password', required: true }, 'At least 8 characters, and not easy to guess: a few unusual words do well.'),
    ], 'Register', submit),
    el('p', { className: 'aside' }, 'Here before? ', link('Sign in', () => turn(member))),
  ];
}

function forgotten(turn) {
  const sent = el('p', { className: 'why', role: 'status' });
  const submit = async (fields) => {
    await account.forgot(fields);
    node.hidden = true;
    sent.textContent = 'If the address belongs to an account, a mail with a link is on its way.';
  };
  const node = form([field('email', 'Email', { type: 'email', autocomplete: 'email', required: true })], 'Send a link', submit);
  return [
    el('h1', {}, 'Forgot your password?'),
    sent,
    node,
    el('p', { className: 'aside' }, link('Back to sign in', () => turn(member))),
  ];
}

const link = (label, onclick) => el('button', { type: 'button', className: 'link', onclick }, label);
