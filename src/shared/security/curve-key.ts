/**
 * The text form of CURVE keys. Z85 (ZeroMQ's RFC 32) represents 32 bytes as 40 printable characters. Generates no keys and reads no
 * files.
 */

const alphabet = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

/** Matches a key in Z85. */
export const keyPattern = /^[0-9a-zA-Z.\-:+=^!/*?&<>()[\]{}@%$#]{40}$/;

export interface KeyPair {
  readonly publicKey: string;
  readonly secretKey: string;
}

/** The keys of a server: its own, and a check of the clients' keys. */
export interface ServerKeys {
  readonly own: KeyPair;
  /** Returns true if the owner of this public key may connect. */
  readonly allows: (publicKey: string) => boolean;
}

/** The keys of a client. */
export interface ClientKeys {
  readonly own: KeyPair;
  /** The public key that the server must prove to own. */
  readonly serverKey: string;
}

/** Returns the Z85 text of a key of 32 bytes; undefined for another number of bytes. */
export function keyText(bytes: Uint8Array): string | undefined {
  if (bytes.length !== 32) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let text = '';
  for (let at = 0; at < 32; at += 4) {
    const word = view.getUint32(at);
    for (let digit = 4; digit >= 0; digit--) text += alphabet.charAt(Math.floor(word / 85 ** digit) % 85);
  }
  return text;
}
