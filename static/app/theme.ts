// Light or dark: the system's choice until the person makes one. The server reads the cookie, so that the next
// page comes in the right colours from its first byte.

const aYear = 31_536_000;

export function toggleTheme(): void {
  const root = document.documentElement;
  const now = root.dataset['theme'] ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  const next = now === 'dark' ? 'light' : 'dark';
  root.dataset['theme'] = next;
  document.cookie = `amphi-theme=${next}; path=/; max-age=${aYear}; samesite=lax`;
}
