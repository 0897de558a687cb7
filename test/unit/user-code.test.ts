import { describe, expect, it } from 'vitest';
import { placeOf } from '../../src/shared/user-code.js';

/** Frames as Node writes them; vitest leaves `async` out of those of a test. */
describe('the place of an error of the user', () => {
  it.each([
    ['a function', '    at build (/home/user/model.ts:3:14)', '/home/user/model.ts:3'],
    ['code outside of functions', '    at /home/user/model.ts:4:1', '/home/user/model.ts:4'],
    ['an asynchronous function', '    at async build (/home/user/model.ts:5:9)', '/home/user/model.ts:5'],
    [
      'an asynchronous function without a name',
      '    at async /home/user/model.ts:6:20',
      '/home/user/model.ts:6',
    ],
    ['a module', '    at async file:///home/user/my%20model.mjs:7:3', '/home/user/my model.mjs:7'],
  ])('is found in %s', (_, frame, place) => {
    const error = new Error('wrong');
    error.stack = `Error: wrong\n    at node:fs:1:2\n${frame}`;
    expect(placeOf(error)).toBe(` (${place})`);
  });
});
