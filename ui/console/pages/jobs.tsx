// Failed jobs: work of the background that was tried as often as it may be and ended undone. Each is read here with the error of
// every attempt, and then put in again or discarded; both take it off the list.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'react-router'
import type { DeadJob } from '../../../server/http/contract/jobs.ts'
import { consoleApi } from '../../api/console.ts'
import { Button, counted, Empty, Id, Notice, Problem } from '../../components/basics.tsx'
import { Confirm } from '../../components/dialog.tsx'
import { type Column, ListOf, useFilters } from '../../components/list.tsx'
import { deadJob, State } from '../../components/state.tsx'
import { Time } from '../../components/time.tsx'
import { PageHead } from '../frame.tsx'
import { abilities, type Role, roleFor, useMe } from '../me.tsx'
import { ChoiceFilter, InstallationFilter, useInstallations } from './filters.tsx'
import { jobKinds, jobWords, lostWords } from './job-words.ts'
import { useList } from './use-list.ts'

type Act = 'retry' | 'discard'
interface Done {
  job: DeadJob
  act: Act
}

export function JobsPage() {
  const { values, set } = useFilters(['installation', 'kind'])
  const query = useList('jobs', consoleApi.jobs, values)
  const [done, setDone] = useState<Done | null>(null)
  return (
    <>
      <PageHead title="Failed jobs" />
      <div className="filters">
        <InstallationFilter value={values.installation} onValue={value => set('installation', value)} />
        <ChoiceFilter label="Kind" value={values.kind} onValue={value => set('kind', value)} words={jobKinds} />
      </div>
      {done ? (
        <Notice
          tone="good"
          live
          title={`${jobWords(done.job.kind)}, job ${done.job.id}: ${done.act === 'retry' ? 'it is tried again from the beginning.' : 'discarded.'}`}
        >
          {done.act === 'retry' ? <p>Should it fail again, it comes back here as another job.</p> : null}
        </Notice>
      ) : null}
      <ListOf
        label="Failed jobs"
        waitingFor="failed jobs"
        query={query}
        rowKey={job => String(job.id)}
        columns={[...columns, { title: 'Actions', render: job => <JobActions job={job} onDone={setDone} /> }]}
        empty={
          <Empty>Nothing was given up on. A job that failed at every attempt will stand here, with each error, to be tried again.</Empty>
        }
      />
    </>
  )
}

const columns: Column<DeadJob>[] = [
  { title: 'State', render: () => <State of={deadJob} /> },
  {
    title: 'Job',
    render: job => (
      <>
        {jobWords(job.kind)}
        <p className="meta">
          <About job={job} />
        </p>
      </>
    )
  },
  {
    title: 'Stack',
    render: job => (job.installationId === null ? '–' : <Link to={`/installations/${job.installationId}`}>{job.stackName}</Link>)
  },
  { title: 'Gave up', render: job => <Time at={job.diedAt} /> },
  { title: 'Attempts', number: true, render: job => job.attempts.length },
  {
    title: 'Last error',
    words: true,
    render: job => (
      <div className="stack-tight">
        <p>{job.error || 'It left no error behind.'}</p>
        {job.overtaken > 0 ? (
          <p className="meta">Another process took over {counted(job.overtaken, 'time')}: what it wrote may have been written twice.</p>
        ) : null}
        {job.attempts.length > 0 ? <Attempts job={job} /> : null}
      </div>
    )
  }
]

function Attempts({ job }: { job: DeadJob }) {
  return (
    <details>
      <summary className="muted" aria-label={`Each attempt of job ${job.id}`}>
        Each attempt
      </summary>
      <ol className="plain-list">
        {job.attempts.map(({ attempt, at, error }) => (
          <li key={`${attempt} ${at}`} value={attempt}>
            {error}{' '}
            <span className="meta">
              <Time at={at} />
            </span>
          </li>
        ))}
      </ol>
    </details>
  )
}

/** A run and a sync have a page of their own; an entry or a delivery is known by its id. */
function About({ job: { id, about, installationId } }: { job: DeadJob }) {
  const page = /^run_\w+$/.test(about) ? 'runs' : /^syn_\w+$/.test(about) ? 'syncs' : null
  if (page !== null && installationId !== null)
    return <Link to={`/installations/${installationId}/${page}/${about}`}>{page === 'runs' ? 'the run' : 'the sync'}</Link>
  const [first = '', ...rest] = about.split(' ')
  if (first === '') return `job ${id}`
  return (
    <>
      <Id value={first.replace(/,$/, '')} /> {rest.join(' ')}
    </>
  )
}

function JobActions({ job, onDone }: { job: DeadJob; onDone: (done: Done) => void }) {
  const role = useRole(job)
  const client = useQueryClient()
  const [asking, setAsking] = useState(false)
  const settle = useMutation({
    mutationFn: (act: Act) => {
      const api = consoleApi.stack(job.installationId ?? '')
      return act === 'retry' ? api.retryJob(job.id) : api.discardJob(job.id)
    },
    onSuccess: (_answer, act) => {
      setAsking(false)
      onDone({ job, act })
    },
    // Also where it was refused: then somebody else was faster, and the list is old.
    onSettled: async () => {
      await client.invalidateQueries({ queryKey: ['console', 'jobs'] })
      await client.invalidateQueries({ queryKey: [job.installationId, 'jobs'] })
    }
  })
  const doing = settle.isPending ? settle.variables : null
  const remedy = job.retry.possible ? null : <p className="meta">{job.retry.remedy}</p>
  if (job.installationId === null || !abilities(role).run) return remedy
  const name = `${jobWords(job.kind)}, job ${job.id}`
  return (
    <div className="stack-tight">
      {remedy}
      <div className="actions">
        {job.retry.possible ? (
          <Button
            look="plain"
            aria-label={`Retry: ${name}`}
            busy={doing === 'retry' && 'Putting in…'}
            onClick={() => settle.mutate('retry')}
          >
            Retry
          </Button>
        ) : null}
        <Button look="plain" aria-label={`Discard: ${name}`} onClick={() => setAsking(true)}>
          Discard
        </Button>
      </div>
      {asking ? null : <Problem error={settle.error} />}
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={`Discard this job of ${job.stackName}?`}
        action="Discard job"
        danger
        busy={doing === 'discard' && 'Discarding…'}
        error={settle.error}
        onConfirm={() => settle.mutate('discard')}
      >
        <p>
          {jobWords(job.kind)}: {job.error}
        </p>
        <p>{lostWords(job.kind)} This one job goes and cannot be brought back; the audit keeps who discarded it.</p>
      </Confirm>
    </div>
  )
}

/** The list spans organizations; a job tells only its installation. */
function useRole({ installationId }: DeadJob): Role | null {
  const me = useMe()
  const installations = useInstallations()
  const installation = installations.data?.items.find(({ id }) => id === installationId)
  if (installation) return roleFor(me, installation)
  // Not among the first page of installations: the server decides, as ever.
  return me.organizations.some(({ role }) => role !== 'auditor') ? 'operator' : 'auditor'
}
