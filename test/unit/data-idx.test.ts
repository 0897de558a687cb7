import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/shared/errors.js';
import { MAX_IDX_BYTES, MAX_IMAGE_SIDE, parseIdxImages, parseIdxLabels } from '../../src/shared/data/idx.js';
import { encodeIdx, encodeImages, encodeLabels, thrownBy } from '../support/idx-files.js';

const whole = encodeImages(2, 3, 4);

describe('parseIdxImages', () => {
  it('returns the dimensions and a view of the pixels', () => {
    const { count, height, width, pixels } = parseIdxImages(whole, 'images');
    expect([count, height, width]).toEqual([2, 3, 4]);
    expect(pixels).toEqual(Uint8Array.from({ length: 24 }, (_, index) => index));
    expect(pixels.buffer).toBe(whole.buffer);
  });

  it.each([
    ['an empty file', Buffer.alloc(0), { offset: 0, expected: 'a header of 16 bytes', found: '0 bytes' }],
    ['a truncated header', whole.subarray(0, 11), { offset: 11, found: '11 bytes' }],
    [
      'a truncated body',
      whole.subarray(0, 39),
      { offset: 39, expected: 'a file of 40 bytes', found: '39 bytes' },
    ],
    ['trailing bytes', Buffer.concat([whole, Buffer.of(0)]), { offset: 40, found: '41 bytes' }],
    ['labels', encodeLabels([1, 2]), { offset: 0, expected: '0x00000803', found: '0x00000801' }],
    ['floats', encodeIdx(0xd03, [1, 1, 1], Buffer.alloc(4)), { offset: 0, found: '0x00000d03' }],
    ['no images', encodeImages(0, 28, 28), { offset: 4, found: 0 }],
    ['no rows', encodeImages(1, 0, 28), { offset: 8, expected: `1 to ${MAX_IMAGE_SIDE}`, found: 0 }],
    [
      'a huge width',
      encodeIdx(0x803, [1, 1, 0xffffffff], Buffer.alloc(1)),
      { offset: 12, found: 0xffffffff },
    ],
    [
      'more pixels than may be read',
      encodeIdx(0x803, [MAX_IDX_BYTES, 4096, 4096], Buffer.alloc(1)),
      { offset: 4, expected: `at most ${MAX_IDX_BYTES} bytes` },
    ],
  ])('refuses %s and says where', async (_, bytes, fields) => {
    const error = await thrownBy(() => parseIdxImages(bytes, 'some/file'));
    expect(error).toBeInstanceOf(DataError);
    const { message, fields: named } = error as DataError;
    expect(named).toMatchObject({ ...fields, file: 'some/file' });
    for (const key of ['file', 'offset', 'expected', 'found', 'remedy'])
      expect(message).toContain(String(named[key]));
  });

  it('recognises a gzip file without the ending .gz, and swapped files', () => {
    const gzip = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
    expect(() => parseIdxImages(gzip, 'f')).toThrow(/give its name the ending \.gz/);
    expect(() => parseIdxImages(encodeLabels([1]), 'f')).toThrow(/holds labels: were two files swapped/);
    expect(() => parseIdxLabels(whole, 'f')).toThrow(/holds images: were two files swapped/);
  });
});

describe('parseIdxLabels', () => {
  it('returns the labels', () => {
    expect(parseIdxLabels(encodeLabels([3, 0, 255]), 'labels')).toEqual(Uint8Array.of(3, 0, 255));
  });

  it('refuses a body that is too short or too long', () => {
    const labels = encodeLabels([3, 0, 255]);
    expect(() => parseIdxLabels(labels.subarray(0, 10), 'f')).toThrow(
      /body ends at byte 10: .*11 bytes, got 10/,
    );
    expect(() => parseIdxLabels(Buffer.concat([labels, labels]), 'f')).toThrow(/left over at byte 11/);
  });
});
