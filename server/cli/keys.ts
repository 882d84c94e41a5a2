// `quayside keys …`: the key ring that seals everything. Needs no server.
import type { CAC } from 'cac'
import { generateKeyRing } from '../vault/cipher.ts'

export function keyCommands(cli: CAC): void {
  cli
    .command('keys new', 'Print a new key ring; keep it in a file of mode 0600 and name that file in QUAYSIDE_KEY_FILE')
    .action(() => process.stdout.write(generateKeyRing()))
}
