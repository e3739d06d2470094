import { Session } from './session.js';

const [auth, books] = ['auth-service', 'books-service'].map((name) => document.querySelector(`meta[name=${name}]`).content);
const session = new Session({ auth, services: [books] });
const [form, list, state, leave] = ['form', 'ul', '#state', '#leave'].map((query) => document.querySelector(query));
const tell = (error) => (state.textContent = error.message);

async function show() {
  [form.hidden, leave.hidden] = [session.user !== null, !session.user];
  list.replaceChildren();
  if (session.user === undefined) return session.start().catch(tell);
  state.textContent = session.user ? `Signed in as ${session.user.username}` : 'Signed out';
  if (!session.user) return;
  const answer = await session.fetch(`${books}/books?limit=20`);
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  list.replaceChildren(...found.map(({ title }) => Object.assign(document.createElement('li'), { textContent: title })));
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  session.signIn(Object.fromEntries(new FormData(form))).catch(tell);
});
leave.addEventListener('click', () => session.signOut().catch(tell));
session.addEventListener('change', ({ detail: { reason } }) => reason !== 'resting' && show().catch(tell));
addEventListener('pageshow', ({ persisted }) => persisted && show().catch(tell));
show();
