// `quayside organizations …`: the tenants, and the erasing of one. Erasing asks the server for a piece at a time and goes on where a
// former attempt ended; the receipt goes to stdout, all that is for people to stderr.
import type { Command } from 'commander'
import { readFileSync } from 'node:fs'
import { AppError } from '../errors.ts'
import type { Organization } from '../http/contract/audit.ts'
import type { ErasurePreview, ErasureReceipt } from '../http/contract/console.ts'
import { createProgress } from './progress.ts'
import { askServer, print } from './server.ts'
import { plain, tableOf } from './table.ts'

type Erasing = { done: false; rows: Record<string, number> } | { done: true; receipt: ErasureReceipt }

export function organizationCommands(program: Command): void {
  const organizations = program.command('organizations').description('the organizations that this server knows')

  organizations
    .command('list')
    .description('list them, those not served as well')
    .option('--json', 'one JSON array')
    .action(async ({ json }: { json?: true }) => {
      const found = await askServer<Organization[]>('GET', '/organizations')
      const rows = found.map(({ organizationUid, ...organization }) => ({ ...organization, uid: organizationUid }))
      print(json === true, found, rows)
    })

  organizations
    .command('erase <id>')
    .description('erase all that is kept of an organization and print a receipt; without --name only say what would go')
    .option('--name <name>', 'exactly as it is listed: then it is done')
    .option('--leave-tokens', 'although management tokens in custody then stand at Contentstack with nobody to delete them')
    .action(async (id: string, { name, leaveTokens }: { name?: string; leaveTokens?: true }) => {
      const path = `/organizations/${encodeURIComponent(id)}/erase`
      const preview = await askServer<ErasurePreview>('GET', path)
      if (name !== preview.organization.name) return sayWhat(preview, name)
      const progress = createProgress()
      for (;;) {
        const erasing = await askServer<Erasing>('POST', path, { name, leaveTokens: leaveTokens === true })
        if (erasing.done) {
          progress.end()
          return handOver(erasing.receipt)
        }
        progress.show(`erased so far: ${Object.values(erasing.rows).reduce((sum, count) => sum + count, 0)} rows`)
      }
    })

  organizations
    .command('verify-receipt <file>')
    .description('whether this server gave that receipt, word for word')
    .action(async (file: string) => {
      const verdict = await askServer<{ genuine: boolean; inChain: boolean }>('POST', '/organizations/receipts/verify', jsonIn(file))
      if (!verdict.genuine) throw new AppError('invalid', 'This server did not give this receipt, or it was changed.')
      if (!verdict.inChain) {
        throw new AppError('conflict', 'The receipt is genuine, but the audit trail does not have its event.', {
          remedy: 'Run quayside audit verify.'
        })
      }
      process.stdout.write('The receipt is genuine, and the audit trail has its event.\n')
    })
}

/** Nothing is erased yet. Exit 1 when a name was given, since what was asked for was not done. */
function sayWhat({ organization, rows, tokens, refusal, begun }: ErasurePreview, name: string | undefined): void {
  const { id, region, organizationUid } = organization
  const say = (text: string) => process.stdout.write(`${text}\n`)
  say(`${id}: ${plain(organization.name)} (${plain(organizationUid)} in ${region})${begun ? ', its erasing begun and not done' : ''}`)
  const counts = Object.entries(rows).map(([table, count]) => ({ table, rows: count }))
  say(counts.length === 0 ? 'There is nothing to erase.' : tableOf(counts))
  if (tokens.length > 0) say(`\nAt Contentstack these tokens stand, or may stand:\n${tableOf(tokens)}`)
  if (refusal) say(`\n${plain(refusal.message)}\n${refusal.remedy}`)
  say(`\nNothing was erased. To erase it: quayside organizations erase ${id} --name ${JSON.stringify(plain(organization.name))}`)
  if (name === undefined) return
  process.stderr.write(`The name given is not its exact name: ${JSON.stringify(plain(name))}\n`)
  process.exitCode = 1
}

function handOver(receipt: ErasureReceipt): void {
  process.stdout.write(`${JSON.stringify(receipt, null, 2)}\n`)
  const { organization, tokensLeft } = receipt
  const left =
    tokensLeft.length === 0
      ? []
      : [`Delete these tokens in Contentstack, under Settings > Tokens: ${tokensLeft.map(({ name }) => plain(name)).join(', ')}.`]
  const words = [
    'Erased. Keep the receipt: nothing here can give it again.',
    ...left,
    `Take ${plain(organization.organizationUid)} (${organization.region}) out of the tenants file too, or it begins anew at the next start.`
  ]
  process.stderr.write(`${words.join('\n')}\n`)
}

function jsonIn(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new AppError('invalid', `${file} is not a readable JSON file.`, { cause })
  }
}
