import { Command } from 'commander';
import { withTarget } from '../options.ts';

/** Common to the three commands. */
export interface EntryOptions {
  readonly name: string;
  readonly json?: true;
  readonly namespace: string;
}

export interface GetOptions extends EntryOptions {
  readonly include?: true;
}

export interface PutOptions extends EntryOptions {
  readonly type?: string;
  readonly ttl?: string;
  readonly file?: string;
}

const entryCommand = (name: string): Command =>
  withTarget(new Command(name))
    .argument('<key>', 'any text')
    .option('-n, --namespace <namespace>', 'where the key is', 'default');

export const getCommand = (): Command =>
  entryCommand('get')
    .description('read an entry through the gateway; exit code 12 if there is none')
    .option('-i, --include', 'show the header fields, too')
    .action(async (key: string, options: GetOptions) => {
      const { getEntry } = await import('../entries.ts');
      await getEntry(key, options);
    });

export const putCommand = (): Command =>
  entryCommand('put')
    .description('write an entry through the gateway')
    .argument('[value]', 'the value; without it and --file, it is read from standard input')
    .option('--file <file>', 'take the value from a file')
    .option('--type <content-type>', 'its content type; a value that is JSON is application/json by itself')
    .option('--ttl <ttl>', '`30s`, `500ms`, `never`, `keep`; default: that of the namespace')
    .action(async (key: string, value: string | undefined, options: PutOptions) => {
      const { putEntry } = await import('../entries.ts');
      await putEntry(key, value, options);
    });

export const deleteCommand = (): Command =>
  entryCommand('del')
    .description('delete an entry through the gateway; no error if there is none')
    .action(async (key: string, options: EntryOptions) => {
      const { deleteEntry } = await import('../entries.ts');
      await deleteEntry(key, options);
    });
