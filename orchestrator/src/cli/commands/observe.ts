import { Command, Option } from 'commander';

export interface ObserveOptions {
  readonly listen: string;
  readonly observe: string;
  readonly allowedHosts?: string;
  readonly allowUnauthenticated?: 'true' | 'false';
}

export const observeCommand = (): Command =>
  new Command('observe')
    .description('serve the status page for instances that somebody else runs (docker compose does this)')
    .addOption(new Option('--listen <host:port>', 'where').env('BIMETAL_LISTEN').default('127.0.0.1:7700'))
    .addOption(
      new Option('--observe <list>', 'cache-0=http://HOST:PORT,… the admin addresses')
        .env('BIMETAL_OBSERVE')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--allowed-hosts <a,b>', 'host names beyond loopback for the page').env('BIMETAL_ALLOWED_HOSTS'),
    )
    .addOption(
      new Option('--allow-unauthenticated [value]', 'permits a listener beyond loopback')
        .env('BIMETAL_ALLOW_UNAUTHENTICATED')
        .choices(['true', 'false'])
        .preset('true'),
    )
    .action(async (options: ObserveOptions) => {
      const { observe } = await import('../observe.ts');
      await observe(options);
    });
