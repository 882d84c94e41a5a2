// Comparing both sides of a sync by the clock: how often, whether what is missing or stale is written again, and when next.
import { useMutation, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import type { DriftNext } from '../../../server/http/contract/plans.ts'
import type { Sync } from '../../../server/http/contract/stack.ts'
import { Button, Problem } from '../basics.tsx'
import { Choice, fieldErrors, SelectField, TextField } from '../field.tsx'
import { Time } from '../time.tsx'
import { useRefresh, useStack } from './stack-view.tsx'

const own = 'own'
const rhythms = [
  ['', 'never'],
  ['0 3 * * *', 'daily at 03:00'],
  ['0 3 * * 0', 'weekly, Sundays at 03:00'],
  [own, 'by a cron expression']
] as const

const ownTimeZone = () => new Intl.DateTimeFormat().resolvedOptions().timeZone

export function DriftRhythm({ sync }: { sync: Sync }) {
  const { id, api, can } = useStack()
  const [changing, setChanging] = useState(false)
  const rhythm = useQuery({
    queryKey: [id, 'drift rhythm', sync.id],
    queryFn: ({ signal }) => api.driftRhythm(sync.id, signal),
    refetchInterval: 60_000
  })
  if (!rhythm.data) return <Problem error={rhythm.error} retry={() => void rhythm.refetch()} />
  if (changing) return <RhythmForm sync={sync} now={rhythm.data} onClose={() => setChanging(false)} />
  return (
    <div className="row-apart">
      <p>
        <Words of={rhythm.data} />
      </p>
      {can.run ? <Button onClick={() => setChanging(true)}>Change rhythm</Button> : null}
    </div>
  )
}

function Words({ of: { schedule, nextAt } }: { of: DriftNext }) {
  if (schedule === null) return 'Not compared by the clock.'
  const known = rhythms.find(([cron]) => cron === schedule.cron)?.[1]
  return (
    <>
      Compared {known ?? <code>{schedule.cron}</code>} ({schedule.timeZone}), {schedule.repair ? 'and repaired' : 'and only counted'}. Next{' '}
      <Time at={nextAt} />.
    </>
  )
}

function RhythmForm({ sync, now: { schedule }, onClose }: { sync: Sync; now: DriftNext; onClose: () => void }) {
  const { api } = useStack()
  const refresh = useRefresh()
  const given = schedule?.cron ?? ''
  const [choice, setChoice] = useState<string>(rhythms.some(([cron]) => cron === given) ? given : own)
  const [cron, setCron] = useState(given)
  const [timeZone, setTimeZone] = useState(schedule?.timeZone ?? ownTimeZone())
  const [repair, setRepair] = useState(schedule?.repair ?? false)
  const save = useMutation({
    mutationFn: () => {
      const wanted = choice === own ? cron.trim() : choice
      return api.changeDriftRhythm(sync.id, { schedule: wanted === '' ? null : { cron: wanted, timeZone: timeZone.trim(), repair } })
    },
    onSuccess: async () => {
      await refresh()
      onClose()
    }
  })
  const ready = choice !== own || cron.trim() !== ''
  return (
    <form
      className="stack"
      aria-label="Rhythm of comparisons"
      onSubmit={event => {
        event.preventDefault()
        if (!save.isPending && ready) save.mutate()
      }}
    >
      <div className="fields">
        <SelectField label="Compare both sides by the clock" value={choice} onValue={setChoice} options={rhythms} />
        {choice === own ? (
          <TextField
            label="Cron expression"
            value={cron}
            onValue={setCron}
            required
            hint="Minute, hour, day, month, weekday: 0 4 * * 1 is Mondays at 04:00."
            errors={fieldErrors(save.error, 'cron')}
          />
        ) : null}
        {choice === '' ? null : (
          <TextField
            label="Time zone"
            value={timeZone}
            onValue={setTimeZone}
            required
            hint="For example Europe/Zurich."
            errors={fieldErrors(save.error, 'timeZone')}
          />
        )}
      </div>
      {choice === '' ? null : (
        <Choice
          type="checkbox"
          label="Write again what is missing or stale"
          hint={sync.direction === 'outbound' ? undefined : 'Changes that people made to mapped fields are written over.'}
          checked={repair}
          onValue={setRepair}
        />
      )}
      <Problem error={save.error} />
      <div className="row">
        <Button look="primary" type="submit" busy={save.isPending && 'Saving…'} disabled={!ready}>
          Save rhythm
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  )
}
