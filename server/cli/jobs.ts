// `quayside jobs …`: work of the background that ended undone. What is put in again goes to the end of its line and reads the current state.
import type { Command } from 'commander'
import { AppError } from '../errors.ts'
import type { AnyJob, DeadJob, JobsAnswer, WhichJobs } from '../http/contract/jobs.ts'
import type { List } from '../http/contract/stack.ts'
import { askServer, print } from './server.ts'
import { plain, relative } from './table.ts'

interface Which {
  kind?: string
  installation?: string
  all?: true
  json?: true
}

export function jobCommands(program: Command): void {
  const jobs = program.command('jobs').description('dead letters: work of the background that ended undone')

  jobs
    .command('list', { isDefault: true })
    .description('list dead jobs, newest first')
    .option('--kind <kind>', 'of this kind')
    .option('--installation <installation>', 'of this installation')
    .option('--json', 'one JSON array')
    .action(async ({ kind, installation, json }: Which) => {
      const found: DeadJob[] = []
      for (let before: string | null = ''; before !== null && found.length < mostListed; ) {
        const query = new URLSearchParams({ ...(kind && { kind }), ...(installation && { installation }), ...(before && { before }) })
        const page: List<DeadJob> = await askServer('GET', `/jobs?${query.toString()}`)
        found.push(...page.items)
        before = page.next
      }
      print(json === true, found, found.map(rowOf))
    })

  jobs
    .command('show <id>')
    .description('one job, dead or not, with the error of each attempt and the ids that it carries')
    .option('--json', 'one JSON object')
    .action(async (id: string, { json }: Which) => {
      const job = await askServer<AnyJob>('GET', `/jobs/${encodeURIComponent(id)}`)
      if (json === true) return print(true, job, [])
      process.stdout.write(`${wordsOf(job)}\n`)
    })

  for (const [verb, description, past] of [
    ['retry', 'put dead jobs in again', 'put in again'],
    ['discard', 'end dead jobs without doing their work', 'discarded']
  ] as const) {
    jobs
      .command(`${verb} [ids...]`)
      .description(`${description}: these, or all that fit`)
      .option('--kind <kind>', 'all of this kind')
      .option('--installation <installation>', 'all of this installation')
      .option('--all', 'all there are')
      .option('--json', 'one JSON array')
      .action(async (texts: string[], { kind, installation, all, json }: Which) => {
        const ids = texts.map(jobId)
        const which: WhichJobs = {
          ...(ids.length > 0 && { ids }),
          ...(kind && { kind }),
          ...(installation && { installation }),
          ...(all && { all })
        }
        const done: JobsAnswer['jobs'] = []
        for (let more = true; more; ) {
          const answer = await askServer<JobsAnswer>('POST', `/jobs/${verb}`, which)
          done.push(...answer.jobs)
          more = answer.more
        }
        if (json === true) return print(true, done, [])
        process.stdout.write(`${done.length} ${done.length === 1 ? 'job' : 'jobs'} ${past}\n`)
      })
  }
}

const mostListed = 1_000

function jobId(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new AppError('invalid', `"${text}" is not the id of a job.`)
  return Number(text)
}

function rowOf({ id, kind, stackName, about, attempts, error, diedAt }: DeadJob): Record<string, unknown> {
  return { job: id, kind, stack: stackName, about, attempts: attempts.length, died: relative(diedAt), error }
}

function wordsOf(job: AnyJob): string {
  const facts: [string, string][] = [
    ['job', `${job.id}, ${job.kind}, ${job.state}`],
    ['stack', job.installationId === null ? 'none' : `${job.stackName} (${job.installationId})`],
    ['about', job.about],
    ['put in', new Date(job.createdAt).toISOString()],
    ['ended', job.diedAt === null ? '' : new Date(job.diedAt).toISOString()],
    ['key', job.key ?? ''],
    ['payload', JSON.stringify(job.payload)],
    ['instead of', job.replaces === null ? '' : `job ${job.replaces}`],
    ['overtaken', job.overtaken === 0 ? '' : `${job.overtaken} times: what it did may have been done twice`],
    ['error', job.error],
    ...job.attempts.map(({ attempt, at, error }): [string, string] => [`attempt ${attempt}`, `${new Date(at).toISOString()} ${error}`])
  ]
  return facts
    .filter(([, value]) => value !== '')
    .map(([name, value]) => `${name.padEnd(12)}${plain(value)}`)
    .join('\n')
}
