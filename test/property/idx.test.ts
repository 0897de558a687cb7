import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/shared/errors.js';
import { parseIdxImages, parseIdxLabels } from '../../src/shared/data/idx.js';
import { encodeIdx, encodeImages, encodeLabels } from '../support/idx-files.js';

const side = fc.integer({ min: 1, max: 12 });
const images = fc.record({ count: side, height: side, width: side }).chain(({ count, height, width }) => {
  const length = count * height * width;
  return fc
    .uint8Array({ minLength: length, maxLength: length })
    .map((pixels) => ({ count, height, width, pixels }));
});
/** Both parsers refuse `bytes` with a DataError or return views of them that explain every byte. */
function expectNothingWorse(bytes: Uint8Array): void {
  for (const parse of [
    () => {
      const { count, height, width, pixels } = parseIdxImages(bytes, 'file');
      return { headerBytes: 16, bodyBytes: count * height * width, view: pixels };
    },
    () => {
      const view = parseIdxLabels(bytes, 'file');
      return { headerBytes: 8, bodyBytes: view.length, view };
    },
  ]) {
    let result;
    try {
      result = parse();
    } catch (error) {
      if (error instanceof DataError && error.fields['file'] === 'file') continue;
      throw error;
    }
    // A view allocates nothing, whatever the header announced.
    expect(result.view.buffer).toBe(bytes.buffer);
    expect(result.view.length).toBe(result.bodyBytes);
    expect(result.headerBytes + result.bodyBytes).toBe(bytes.length);
  }
}

describe('IDX', () => {
  it('parses an encoded file', () => {
    fc.assert(
      fc.property(images, ({ count, height, width, pixels }) => {
        expect(parseIdxImages(encodeImages(count, height, width, pixels), 'f')).toEqual({
          count,
          height,
          width,
          pixels,
        });
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (labels) => {
        expect(parseIdxLabels(encodeLabels(labels), 'f')).toEqual(labels);
      }),
    );
  });

  it('refuses random bytes, also after a valid magic number, with a DataError', () => {
    const header = fc.array(fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 0xffffffff })), { maxLength: 4 });
    const body = fc.uint8Array({ maxLength: 200 });
    fc.assert(fc.property(body, (bytes) => expectNothingWorse(bytes)));
    fc.assert(
      fc.property(fc.constantFrom(0x801, 0x803), header, body, (magic, dimensions, bytes) =>
        expectNothingWorse(encodeIdx(magic, dimensions, bytes)),
      ),
      { numRuns: 500 },
    );
  });

  it('refuses every truncation of a file', () => {
    fc.assert(
      fc.property(images, fc.nat(), ({ count, height, width, pixels }, cut) => {
        const whole = encodeImages(count, height, width, pixels);
        expect(() => parseIdxImages(whole.subarray(0, cut % whole.length), 'f')).toThrow(DataError);
      }),
    );
  });

  it('refuses every changed byte of a header', () => {
    const file = encodeImages(3, 2, 5);
    const labels = encodeLabels([1, 2, 3]);
    for (const [whole, headerBytes] of [
      [file, 16],
      [labels, 8],
    ] as const) {
      for (let at = 0; at < headerBytes; at++) {
        for (let xor = 1; xor < 256; xor++) {
          const changed = Buffer.from(whole);
          changed[at]! ^= xor;
          expectNothingWorse(changed);
          const parse = whole === file ? parseIdxImages : parseIdxLabels;
          // One changed dimension changes the product, so that no such file is valid.
          expect(() => parse(changed, 'f')).toThrow(DataError);
        }
      }
    }
  });
});
