/** Encodes plain objects as protocol buffers. */

import { InvariantError, ModelError } from '../../shared/errors.js';
import { messageType } from '../../shared/files/protobuf.js';

/** Maximum length of a protocol buffer. */
const longestBytes = 2 ** 31 - 1;

/** @param message fields by their camel-case names. @throws ModelError if the message is too long for the format */
export function encodeMessage(file: string, type: string, message: object): Buffer {
  const lookedUp = messageType(file, type);
  const wrong = lookedUp.verify(message);
  if (wrong !== null) throw new InvariantError(`${type}: ${wrong}`);
  const bytes = lookedUp.encode(message).finish();
  if (bytes.length > longestBytes)
    throw new ModelError(
      `Export: expected at most 2 GiB in one file, got ${bytes.length} bytes. Use --format safetensors.`,
    );
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
