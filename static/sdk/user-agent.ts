// What the browser says of itself, as far as interfaces need it.

const { userAgent = '' } = globalThis.navigator ?? {};
const match = (patterns: [RegExp, string][]) => {
  for (const [pattern, name] of patterns) {
    const found = pattern.exec(userAgent);
    if (found) return { name, version: found[1]?.replaceAll('_', '.') };
  }
  return { name: undefined, version: undefined };
};

/** With the methods of ua-parser-js that applications use. */
export const parsedUserAgent = {
  getUA: () => userAgent,
  getBrowser: () => match([
    [/Edg\/([\d.]+)/, 'Edge'], [/Firefox\/([\d.]+)/, 'Firefox'], [/Chrome\/([\d.]+)/, 'Chrome'], [/Version\/([\d.]+).*Safari/, 'Safari'],
  ]),
  getEngine: () => match([[/Firefox\/([\d.]+)/, 'Gecko'], [/Chrome\/([\d.]+)/, 'Blink'], [/WebKit\/([\d.]+)/, 'WebKit']]),
  getOS: () => match([
    [/Android ([\d.]+)/, 'Android'], [/(?:iPhone|iPad).*OS ([\d_]+)/, 'iOS'], [/Windows NT ([\d.]+)/, 'Windows'],
    [/Mac OS X ([\d_]+)/, 'Mac OS'], [/(?:CrOS|Linux)()/, 'Linux'],
  ]),
  getDevice: () => ({ type: /iPad|Tablet/.test(userAgent) ? 'tablet' : /Mobi/.test(userAgent) ? 'mobile' : undefined }),
};
