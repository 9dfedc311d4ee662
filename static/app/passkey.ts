// Passkeys: asks the server for a challenge, the browser for a signature, and sends it back (WebAuthn Level 3).

/** Brings the passkey buttons below root to life, where the browser has passkeys. */
export function setUpPasskeys(root: ParentNode): void {
  for (const part of root.querySelectorAll<HTMLElement>('amphi-passkey[data-waiting]')) {
    part.hidden = !window.PublicKeyCredential?.parseRequestOptionsFromJSON;
    if (part.hidden) continue;
    part.removeAttribute('data-waiting');
    part.querySelector('button')!.addEventListener('click', (event) => {
      event.preventDefault();
      void run(part);
    });
  }
}

interface Answer { options: unknown; id: string; next: string; problems: Record<string, string>; message: string }

async function run(part: HTMLElement): Promise<void> {
  const button = part.querySelector('button')!;
  const status = part.querySelector<HTMLElement>('[role="alert"]')!;
  status.hidden = true;
  button.disabled = true;
  try {
    const next = await (part.dataset['action'] === 'signin' ? signIn(part) : make(part));
    if (next) location.assign(next);
  } catch (error) {
    status.textContent = words(error);
    status.hidden = false;
  } finally {
    button.disabled = false;
  }
}

function words(error: unknown): string {
  const { name, message } = error as Error;
  switch (name) {
    case 'NotAllowedError': return 'No passkey was given. Try again, or use a password.';
    case 'InvalidStateError': return 'This device has a passkey of yours already.';
    case 'SecurityError': return 'Passkeys need https, or localhost, and the address that they were made for.';
    default: return message;
  }
}

async function signIn(part: HTMLElement): Promise<string> {
  const { options, id } = await post('/dashboard/passkey/signin', {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON((options as { publicKey: PublicKeyCredentialRequestOptionsJSON }).publicKey);
  const credential = await navigator.credentials.get({ publicKey }) as PublicKeyCredential;
  return (await post('/dashboard/passkey/signin/finish', { id, next: part.dataset['next'], credential: credential.toJSON() })).next;
}

/** Makes a passkey for a newcomer, or one more for whoever is signed in. */
async function make(part: HTMLElement): Promise<string> {
  const at = part.dataset['action'] === 'welcome' ? `/dashboard/passkey/link/${part.dataset['secret']}` : '/dashboard/passkey/new';
  const form = document.getElementById(part.dataset['form'] ?? '') as HTMLFormElement | null;
  const typed = (name: string) => String((form && new FormData(form).get(name)) ?? '');
  const said = { name: typed('name'), email: typed('email'), password: typed('passkey-password') };
  const answer = await post(at, said);
  if (refused(form, answer)) return '';
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON((answer.options as { publicKey: PublicKeyCredentialCreationOptionsJSON }).publicKey);
  const credential = await navigator.credentials.create({ publicKey }) as PublicKeyCredential;
  const last = await post(`${at}/finish`, { ...said, id: answer.id, credential: credential.toJSON() });
  return refused(form, last) ? '' : last.next;
}

/** Shows what is wrong with a form beside its fields, as the server draws it, and goes to the first of them. */
function refused(form: HTMLFormElement | null, { problems }: Answer): boolean {
  let first: HTMLInputElement | null = null;
  for (const input of form?.querySelectorAll<HTMLInputElement>('.input') ?? []) {
    const problem = problems?.[input.name] ?? '';
    document.getElementById(`${input.name}-problem`)?.remove();
    input.removeAttribute('aria-invalid');
    if (!problem) continue;
    const text = document.createElement('p');
    text.className = 'field-error';
    text.id = `${input.name}-problem`;
    text.textContent = problem;
    input.closest('.input-line')!.after(text);
    input.setAttribute('aria-invalid', 'true');
    input.setAttribute('aria-describedby', `${text.id} ${input.name}-hint`);
    first ??= input;
  }
  first?.focus();
  return first !== null;
}

async function post(path: string, body: unknown): Promise<Answer> {
  const response = await fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  const answer = await response.json().catch(() => ({})) as Answer;
  if (!response.ok && !answer.problems) throw new Error(answer.message || 'The server did not answer as it should. Try again.');
  return answer;
}
