// `quayside keys …`: the key ring that seals everything. Needs no server.
import type { Command } from 'commander'
import { generateKeyRing } from '../vault/cipher.ts'

export function keyCommands(program: Command): void {
  program
    .command('keys')
    .description('the key ring that seals everything')
    .command('new')
    .description('print a new key ring; keep it in a file of mode 0600 and name that file in QUAYSIDE_KEY_FILE')
    .action(() => {
      process.stdout.write(generateKeyRing())
    })
}
