const x: number = 3;
console.log(x, process.version, process.argv.slice(2));
