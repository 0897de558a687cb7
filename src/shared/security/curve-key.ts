/**
 * CURVE keys as text and as bytes. Z85 (ZeroMQ's RFC 32) writes 32 bytes in 40 printable characters. Owns their form; makes
 * no keys and reads no files.
 */

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Of a key in Z85. */
export const keyPattern = /^[0-9a-zA-Z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/;

export interface KeyPair {
  readonly publicKey: string;
  readonly secretKey: string;
}

/** What an accepting end has: its own keys, and who may come in. */
export interface ServerKeys {
  readonly own: KeyPair;
  /** Whether the holder of this public key may connect. */
  readonly allows: (publicKey: string) => boolean;
}

/** What a connecting end has. */
export interface ClientKeys {
  readonly own: KeyPair;
  /** Public key that the other end must prove to have. */
  readonly serverKey: string;
}

/** Z85 of a key's 32 bytes; undefined for another number of bytes. */
export function keyText(bytes: Uint8Array): string | undefined {
  if (bytes.length !== 32) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at < 32; at += 4) {
    const word = view.getUint32(at);
    for (let place = 4; place >= 0; place--) text += alphabet.charAt(Math.floor(word / 85 ** place) % 85);
  }
  return text;
}
