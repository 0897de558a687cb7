/**
 * Checks that bytes are one complete MessagePack value of the plain types (nil, booleans, numbers, strings, bytes, arrays, and maps with
 * string keys) with bounded nesting. A decoder allocates an array of the length that its first five bytes declare, at each level
 * again, so a declared length that exceeds the message must be refused before decoding.
 */

/** Maximum nesting. The deepest valid message, `plan`, has four levels. */
export const maxDepth = 12;

/** Number of bytes after the first one of a value without a length; -1 for other types. */
function bodyBytes(first: number): number {
  if (first <= 0x7f || first >= 0xe0) return 0;
  switch (first) {
    case 0xc0: // nil
    case 0xc2: // false
    case 0xc3: // true
      return 0;
    case 0xcc: // 8-bit integers
    case 0xd0:
      return 1;
    case 0xcd:
    case 0xd1:
      return 2;
    case 0xca: // float32 and 32-bit integers
    case 0xce:
    case 0xd2:
      return 4;
    case 0xcb: // float64 and 64-bit integers
    case 0xcf:
    case 0xd3:
      return 8;
    default:
      return -1;
  }
}

/** The defect of the bytes, as a clause; undefined if there is none. */
export function malformation(bytes: Uint8Array): string | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Number of values, including keys, that each open container still lacks. For a map, an even number precedes a key.
  const missing = [1];
  const isMap = [false];
  let at = 0;
  while (missing.length > 0) {
    const level = missing.length - 1;
    if (missing[level] === 0) {
      missing.pop();
      isMap.pop();
      continue;
    }
    const isKey = isMap[level] === true && (missing[level] ?? 0) % 2 === 0;
    missing[level] = (missing[level] ?? 0) - 1;
    const first = bytes[at];
    if (first === undefined) return 'the value is incomplete';
    const sized = sizedKind(first);
    if (isKey && sized?.kind !== 'string') return 'a key is not a string';
    if (sized === undefined) {
      const body = bodyBytes(first);
      if (body < 0) return `a value has the type 0x${first.toString(16)}`;
      at += 1 + body;
    } else {
      const { kind, lengthBytes, length: shortLength } = sized;
      if (at + 1 + lengthBytes > bytes.length) return 'the value is incomplete';
      const length =
        lengthBytes === 0
          ? shortLength
          : lengthBytes === 1
            ? view.getUint8(at + 1)
            : lengthBytes === 2
              ? view.getUint16(at + 1)
              : view.getUint32(at + 1);
      at += 1 + lengthBytes;
      if (kind === 'string' || kind === 'bytes') at += length;
      else {
        const values = kind === 'map' ? 2 * length : length;
        if (values > bytes.length - at) return 'a declared length exceeds the message';
        if (missing.length > maxDepth) return `values are nested deeper than ${maxDepth} levels`;
        missing.push(values);
        isMap.push(kind === 'map');
      }
    }
    if (at > bytes.length) return 'the value is incomplete';
  }
  return at === bytes.length ? undefined : 'further bytes follow the value';
}

type Sized = {
  readonly kind: 'string' | 'bytes' | 'array' | 'map';
  readonly lengthBytes: number;
  readonly length: number;
};

function sizedKind(first: number): Sized | undefined {
  if (first >= 0x80 && first <= 0x8f) return { kind: 'map', lengthBytes: 0, length: first & 0x0f };
  if (first >= 0x90 && first <= 0x9f) return { kind: 'array', lengthBytes: 0, length: first & 0x0f };
  if (first >= 0xa0 && first <= 0xbf) return { kind: 'string', lengthBytes: 0, length: first & 0x1f };
  if (first >= 0xc4 && first <= 0xc6) return { kind: 'bytes', lengthBytes: 2 ** (first - 0xc4), length: 0 };
  if (first >= 0xd9 && first <= 0xdb) return { kind: 'string', lengthBytes: 2 ** (first - 0xd9), length: 0 };
  if (first === 0xdc || first === 0xdd)
    return { kind: 'array', lengthBytes: first === 0xdc ? 2 : 4, length: 0 };
  if (first === 0xde || first === 0xdf)
    return { kind: 'map', lengthBytes: first === 0xde ? 2 : 4, length: 0 };
  return undefined;
}
