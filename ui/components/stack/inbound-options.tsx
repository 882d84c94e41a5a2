// What an inbound sync does beside writing entries, chosen when it is made, and its door for pushed records. The door's secret is shown
// once, and this page keeps it only as long as it shows it.
import { useMutation } from '@tanstack/react-query'
import type { InboundOptions, Sync } from '../../../server/http/contract/stack.ts'
import { Button, Id, Notice, Problem } from '../basics.tsx'
import { Choice, fieldErrors, SelectField, TextField } from '../field.tsx'
import { useStack } from './stack-view.tsx'

type Gone = NonNullable<InboundOptions['onDisappearance']>

const gone: Record<Gone, string> = { keep: 'Keep its entry', unpublish: 'Unpublish its entry', delete: 'Delete its entry' }

/** As the form holds it: names of environments stay as they are typed. */
export interface OptionsChoice {
  onDisappearance: Gone
  environments: string
  externalIds: boolean
  localeColumn: string
}

export const noOptions: OptionsChoice = { onDisappearance: 'keep', environments: '', externalIds: false, localeColumn: '' }

export function optionsOf({ onDisappearance, environments, externalIds, localeColumn }: OptionsChoice): InboundOptions {
  const names = environments
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
  return {
    onDisappearance,
    ...(names.length > 0 ? { publish: { environments: names } } : {}),
    ...(externalIds ? { references: 'externalId' as const } : {}),
    ...(localeColumn.trim() === '' ? {} : { localeColumn: localeColumn.trim() })
  }
}

export function InboundOptionFields({
  value,
  onValue,
  error
}: {
  value: OptionsChoice
  onValue: (value: OptionsChoice) => void
  error: unknown
}) {
  return (
    <>
      <div className="fields">
        <SelectField
          label="When a record is gone"
          value={value.onDisappearance}
          onValue={chosen => onValue({ ...value, onDisappearance: chosen as Gone })}
          options={Object.entries(gone)}
          hint="Only after a complete listing. Too many at once, and entries that somebody else has changed, wait for a person."
        />
        <TextField
          label="Publish in"
          value={value.environments}
          onValue={environments => onValue({ ...value, environments })}
          hint="Names of environments, parted by commas. Empty: entries stay drafts."
          errors={fieldErrors(error, 'inbound.publish')}
        />
        <TextField
          label="Column for locales"
          value={value.localeColumn}
          onValue={localeColumn => onValue({ ...value, localeColumn })}
          hint="Where each locale of a record has a row of its own. Empty: every row is of the master locale."
          errors={fieldErrors(error, 'inbound.localeColumn')}
        />
      </div>
      <Choice
        type="checkbox"
        label="Reference columns hold external ids"
        hint="of records that other inbound syncs bring, instead of uids of entries."
        checked={value.externalIds}
        onValue={externalIds => onValue({ ...value, externalIds })}
      />
    </>
  )
}

export function InboundFacts({ inbound }: { inbound: InboundOptions }) {
  return (
    <>
      <dt>Record gone</dt>
      <dd>{gone[inbound.onDisappearance ?? 'keep']}</dd>
      <dt>Published in</dt>
      <dd>{inbound.publish ? inbound.publish.environments.join(', ') : 'nothing: entries stay drafts'}</dd>
      {inbound.localeColumn ? (
        <>
          <dt>Locales from</dt>
          <dd>
            <code>{inbound.localeColumn}</code>
          </dd>
        </>
      ) : null}
      {inbound.references === 'externalId' ? (
        <>
          <dt>References</dt>
          <dd>by external id</dd>
        </>
      ) : null}
    </>
  )
}

export function PushDoor({ sync }: { sync: Sync }) {
  const { api } = useStack()
  const opening = useMutation({ mutationFn: () => api.openPush(sync.id) })
  return (
    <details>
      <summary className="muted">Pushed records</summary>
      <div className="stack-tight">
        <p>
          Another system can send records here at once, signed as Standard Webhooks. Opening the door again gives it another secret; the old
          one is good no more.
        </p>
        {opening.data ? (
          <Notice tone="good" title="The secret is shown this once." live>
            <p>
              Address: <Id value={opening.data.url} short={false} />
            </p>
            <p>
              Secret: <Id value={opening.data.signingSecret} short={false} />
            </p>
          </Notice>
        ) : (
          <div className="row">
            <Button busy={opening.isPending && 'Opening…'} onClick={() => opening.mutate()}>
              Open a door for pushed records
            </Button>
          </div>
        )}
        <Problem error={opening.error} />
      </div>
    </details>
  )
}
