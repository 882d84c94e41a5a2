// Ids of our rows: a prefix that says the kind, then time, then chance. Ordering by id is ordering by age, so pages can be cut
// by id; the 80 random bits make them unguessable enough for addresses, though no id is ever authority by itself.
import { randomBytes } from 'node:crypto'

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'
const timeLength = 10
const chanceLength = 16

let lastTime = 0
let lastChance = 0n

/** `newId('run')` -> 'run_01k…' (26 characters after the prefix). Strictly growing within a process. */
export function newId(prefix: string): string {
  const now = Date.now()
  if (now > lastTime) {
    lastTime = now
    // The top bit stays free, so that counting up within one millisecond cannot overflow.
    lastChance = BigInt(`0x${randomBytes(10).toString('hex')}`) >> 1n
  } else lastChance += 1n
  return `${prefix}_${encode(BigInt(lastTime), timeLength)}${encode(lastChance, chanceLength)}`
}

function encode(value: bigint, length: number): string {
  let text = ''
  for (let rest = value; text.length < length; rest >>= 5n) text = alphabet[Number(rest & 31n)]! + text
  return text
}
