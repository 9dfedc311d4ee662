import assert from 'node:assert/strict';
import test from 'node:test';
import { linkify } from '../linkify.js';

const links = (text) => linkify(text).filter((piece) => piece.href).map((piece) => piece.text);

test('finds addresses and leaves the sentence around them', () => {
  assert.deepEqual(linkify('See https://example.com/a?b=c#d, please.'), [
    { text: 'See ' }, { text: 'https://example.com/a?b=c#d', href: 'https://example.com/a?b=c#d' }, { text: ', please.' },
  ]);
  assert.deepEqual(links('(https://example.com/one) and https://example.com/Stage_(theatre)!'),
    ['https://example.com/one', 'https://example.com/Stage_(theatre)']);
  assert.deepEqual(links('HTTP://EXAMPLE.COM'), ['HTTP://EXAMPLE.COM']);
});

test('nothing but http and https becomes a link', () => {
  for (const text of ['javascript:alert(1)', 'data:text/html,x', 'file:///etc/passwd', 'xhttps://example.com', 'https://', 'www.example.com', '']) {
    assert.deepEqual(links(text), [], text);
  }
});

test('markup is never part of an address', () => {
  assert.deepEqual(links('https://example.com/"><script>alert(1)</script>'), ['https://example.com/']);
});

test('no piece of a message is lost', () => {
  for (const text of ['a https://x.y b https://x.z', 'https://x.y', 'none', '((https://x.y/((a))))', 'ünï 🎭 https://é.example/ä 🎭']) {
    assert.equal(linkify(text).map((piece) => piece.text).join(''), text);
  }
});
