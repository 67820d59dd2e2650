/** A number from 0 to below 1 that follows from a name, so that what many names do at the same time can be spread. */
export function spreadOf(name: string): number {
  return hash(name) / 2 ** 32;
}

const { imul } = Math;

/** FNV-1a of 32 bits, and the end of MurmurHash3, without which names that differ in their last letter lie close together. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = imul(value ^ text.charCodeAt(i), 0x01000193);
  value = imul(value ^ (value >>> 16), 0x85ebca6b);
  value = imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}
