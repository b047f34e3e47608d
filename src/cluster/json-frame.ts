/**
 * Messages between nodes that are plain data, as a version byte and JSON; a `bytes` field at the top may be binary.
 * What cannot be read is undefined.
 */
const VERSION = 1;

export function encodeFrame(message: { readonly type: string; readonly bytes?: Uint8Array }): Uint8Array {
  const { bytes } = message;
  const plain = bytes === undefined ? message : { ...message, bytes: Buffer.from(bytes).toString('base64') };
  return Buffer.concat([Buffer.from([VERSION]), Buffer.from(JSON.stringify(plain), 'utf8')]);
}

/** The sender is one of us (the envelope says so), so the shape is trusted once version and syntax are right. */
export function decodeFrame(body: Uint8Array): unknown {
  if (body[0] !== VERSION) return undefined;
  const buffer = Buffer.from(body.buffer, body.byteOffset + 1, body.byteLength - 1);
  try {
    const message = JSON.parse(buffer.toString('utf8')) as { bytes?: unknown } | null;
    if (typeof message?.bytes === 'string') message.bytes = new Uint8Array(Buffer.from(message.bytes, 'base64'));
    return message;
  } catch {
    // A damaged frame is a lost one.
    return undefined;
  }
}
