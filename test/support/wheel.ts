/** Writes small Python wheels (stored zip archives with a RECORD) for tests of what reads them. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

export interface WheelOptions {
  /** Replaces the RECORD that fits the files. */
  readonly record?: string;
  readonly metadata?: string;
  /** Name and version. */
  readonly name?: string;
}

export function wheelOf(
  files: Readonly<Record<string, Uint8Array>>,
  { record, metadata = '', name = 'tensorflow-1' }: WheelOptions = {},
): Buffer {
  const lines = Object.entries(files).map(
    ([path, bytes]) =>
      `${path},sha256=${createHash('sha256').update(bytes).digest('base64url')},${bytes.length}`,
  );
  return zip({
    ...files,
    [`${name}.dist-info/METADATA`]: Buffer.from(metadata),
    [`${name}.dist-info/RECORD`]: Buffer.from(record ?? lines.join('\n')),
  });
}

function zip(files: Readonly<Record<string, Uint8Array>>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of Object.entries(files)) {
    const fields = Buffer.alloc(26);
    fields.writeUInt16LE(20, 0);
    fields.writeUInt32LE(crc32(bytes), 10);
    fields.writeUInt32LE(bytes.length, 14);
    fields.writeUInt32LE(bytes.length, 18);
    fields.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), fields, Buffer.from(name), bytes]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), fields, rest, Buffer.from(name)]));
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}
