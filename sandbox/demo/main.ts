// `npm run demo`: a local Contentstack, a real server beside it, and an admin's first quarter of an hour in one go, over the
// real HTTP flows. It then prints where to look and stays up until Ctrl-C, or with --once checks both ends and leaves.
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { openApp } from './admin.ts'
import { buildPages } from './build.ts'
import { choosePorts, readOptions } from './options.ts'
import { createProgress } from './progress.ts'
import { check, goOn, type Outcome } from './outcome.ts'
import { keptPorts, type Stage, setStage } from './stage.ts'

// Proxies are for the world outside: everything here is loopback.
for (const name of ['NO_PROXY', 'no_proxy']) process.env[name] = 'localhost,127.0.0.1,::1'

const directory = fileURLToPath(new URL('../../.quayside/demo/', import.meta.url))

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  const progress = createProgress(line => (options.json ? console.error(line) : console.log(line)))
  const ports = await choosePorts(process.env, options.keep ? keptPorts(directory) : null)
  if (!options.keep || keptPorts(directory) === null) await rm(directory, { recursive: true, force: true })

  const built = await buildPages()
  if (built.length > 0) progress.say(`Built ${built.join(' and ')}`)

  const stage = await setStage({ directory, ports, stackDirectory: options.stackDirectory, keep: options.keep, watch: options.watch })
  let ending = false
  const end = async (code: number) => {
    if (ending) return
    ending = true
    await stage.close()
    process.exit(code)
  }
  process.once('SIGINT', () => void end(0))
  process.once('SIGTERM', () => void end(0))

  try {
    for (const note of stage.sandbox.notes) progress.say(note)
    progress.say(`Contentstack, local      ${stage.urls.application}`)
    progress.say(`Quayside                 ${stage.server.url}`)
    if (options.fresh) {
      sayHowToInstall(stage, progress.say)
      return
    }
    if (stage.installed) {
      await sayWhereToLook(stage, await goOn(stage, stage.installed), progress.say)
      return
    }
    const outcome = await check(stage, progress)
    if (options.once) {
      if (options.json) console.log(JSON.stringify({ ok: true, ...outcome.figures, seconds: Number(progress.seconds().toFixed(1)) }))
      else progress.say(`Everything held: ${JSON.stringify(outcome.figures)}`)
      await end(0)
      return
    }
    await sayWhereToLook(stage, outcome, progress.say)
  } catch (error) {
    // Ctrl-C took the ground from under it.
    if (ending) return
    const reason = error instanceof Error ? error.message : String(error)
    if (options.json) console.log(JSON.stringify({ ok: false, reason, seconds: Number(progress.seconds().toFixed(1)) }))
    console.error(`\nThe demo could not go on: ${reason}\nThe server's log: ${stage.server.logFile}`)
    await end(1)
  }
}

function sayHowToInstall(stage: Stage, say: (text: string) => void): void {
  say('')
  say(`Install the app yourself: ${stage.urls.application}/apps/${stage.app.appUid}/install`)
  say(`  as Ada Admin, into "${stage.stack.name}"; then Apps -> Quayside -> Configure.`)
  say('Ctrl-C ends everything.')
}

async function sayWhereToLook(
  stage: Stage,
  outcome: Pick<Outcome, 'installationUid' | 'editor' | 'entry'>,
  say: (text: string) => void
): Promise<void> {
  const { urls, server, stack } = stage
  // Opening the app once more proves that the link below works for somebody who is still here.
  await openApp(stage.person, urls, server.url, outcome.editor, outcome.installationUid)
  say('')
  say(
    `Edit this entry, and watch the sidebar:  ${urls.application}/stack/${stack.apiKey}/content-type/${outcome.entry.contentType}/${stack.masterLocale}/entry/${outcome.entry.uid}/edit`
  )
  say(
    `  as ${outcome.editor.user.firstName} ${outcome.editor.user.lastName}; Ada has left, and the page offers to bring her back and let her leave again.`
  )
  say(`Console:                                 ${server.url}/console/`)
  say('  people: Admin, Operator, Auditor, and a Stranger who may not enter')
  say(`The database that fills:                 ${stage.filesDirectory}/website.db`)
  say('Ctrl-C ends everything.')
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
})
