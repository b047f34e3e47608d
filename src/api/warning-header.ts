/** What an operator should not overlook. */
/** Header values are bytes on the wire, so what is not ASCII travels escaped. */
export function warningHeader(warnings: readonly string[]): Record<string, string> {
  if (warnings.length === 0) return {};
  const text = warnings
    .join('; ')
    .replace(/[^\x20-\x7e]/gu, (char) => encodeURIComponent(Buffer.from(char).toString()));
  return { 'Carillon-Warning': text };
}
