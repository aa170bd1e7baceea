using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace Qanat.Cli;

/// <summary>Fetches one file: into a part file beside its place, on from where an earlier try ended, and into its place only when length and hash are right.</summary>
public sealed class FileDownload(HttpClient http, ModelRepository repository, TimeProvider clock)
{
    private const int BufferBytes = 1 << 20;
    private const int TriesMax = 5;
    private static readonly TimeSpan PauseFirst = TimeSpan.FromSeconds(1);

    /// <summary>A connection over which nothing comes for so long is taken for cut: where the other end vanished, nobody says so.</summary>
    public static readonly TimeSpan SilenceMax = TimeSpan.FromMinutes(1);

    /// <summary>Tells how many bytes came in since it was last told; negative when bytes were thrown away.</summary>
    public Action<long> Came { get; init; } = _ => { };

    /// <returns>The file's SHA-256.</returns>
    /// <exception cref="CommandException">It could not be had, or what came is not what the index promises. The part that came is kept for the next try, unless it was wrong.</exception>
    public async Task<string> RunAsync(RepositoryFile file, string folder, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(file);
        string place = Path.Combine(folder, file.Path), part = place + ".part";
        Directory.CreateDirectory(Path.GetDirectoryName(place)!);
        if (File.Exists(place) && new FileInfo(place).Length == file.Bytes && await HashesAsync(place, file, cancel) is { IsRight: true } there)
        {
            Came(file.Bytes);
            return there.Sha256;
        }
        if (File.Exists(part) && new FileInfo(part).Length > file.Bytes) File.Delete(part);
        if (File.Exists(part)) Came(new FileInfo(part).Length);
        TimeSpan pause = PauseFirst;
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                await FetchAsync(file, part, cancel);
                break;
            }
            catch (Exception error) when (attempt < TriesMax && !cancel.IsCancellationRequested && (error is HttpRequestException { StatusCode: null or >= HttpStatusCode.InternalServerError or HttpStatusCode.TooManyRequests } or HttpIOException || (error is IOException && !IsDiskFull(error))))
            {
                await Task.Delay(pause, clock, cancel);
                pause *= 2;
            }
            catch (HttpRequestException error)
            {
                throw new CommandException($"{file.Path} could not be fetched: {error.Message} What came is kept: run the command again to go on.", error);
            }
            catch (IOException error)
            {
                throw new CommandException(IsDiskFull(error) ? $"The disk is full: {file.Path} needs {Amount.OfBytes(file.Bytes)}. What came is kept: make room and run the command again." : $"{file.Path} could not be fetched: {error.Message} What came is kept: run the command again to go on.", error);
            }
        }
        Hashes made = await HashesAsync(part, file, cancel);
        if (!made.IsRight)
        {
            File.Delete(part);
            throw new CommandException($"{file.Path} is not what the repository promises: its hash is {made.Shown}, promised was {file.Hash}. It was thrown away; run the command again.");
        }
        File.Move(part, place, overwrite: true);
        return made.Sha256;
    }

    private async Task FetchAsync(RepositoryFile file, string part, CancellationToken cancel)
    {
        using var silence = new CancellationTokenSource(SilenceMax, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, silence.Token);
        try
        {
            await FetchAsync(file, part, silence, either.Token);
        }
        catch (OperationCanceledException error) when (!cancel.IsCancellationRequested)
        {
            throw new IOException(silence.IsCancellationRequested ? $"nothing came for {SilenceMax.TotalSeconds:0} seconds." : $"{file.Address.Authority} does not answer.", error);
        }
    }

    private async Task FetchAsync(RepositoryFile file, string part, CancellationTokenSource silence, CancellationToken cancel)
    {
        long have = File.Exists(part) ? new FileInfo(part).Length : 0;
        if (have == file.Bytes && have > 0) return;
        using HttpRequestMessage request = repository.Request(file.Address);
        if (have > 0) request.Headers.Range = new RangeHeaderValue(have, null);
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
        response.EnsureSuccessStatusCode();
        bool goesOn = response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == have;
        if (have > 0 && !goesOn) Came(-have);
        await using FileStream target = new(part, goesOn ? FileMode.Append : FileMode.Create, FileAccess.Write, FileShare.None, BufferBytes);
        await using Stream body = await response.Content.ReadAsStreamAsync(cancel);
        byte[] buffer = new byte[BufferBytes];
        long length = goesOn ? have : 0;
        for (int count; (count = await body.ReadAsync(buffer, cancel)) > 0;)
        {
            length += count;
            if (length > file.Bytes) throw new CommandException($"{file.Path} is longer than the repository promises ({file.Bytes} bytes): it is not fetched any further.");
            // Whole, so that what is told and what is in the file stay equal whenever it is stopped.
            await target.WriteAsync(buffer.AsMemory(0, count), CancellationToken.None);
            Came(count);
            silence.CancelAfter(SilenceMax);
        }
        await target.FlushAsync(cancel);
        if (length < file.Bytes) throw new HttpIOException(HttpRequestError.ResponseEnded, $"the connection ended after {length} of {file.Bytes} bytes.");
    }

    private static bool IsDiskFull(Exception error) => error.HResult == unchecked((int)0x80070070) || error.HResult == 28;

    private static async Task<Hashes> HashesAsync(string path, RepositoryFile file, CancellationToken cancel)
    {
        using IncrementalHash sha256 = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
#pragma warning disable CA5350 // Git names files by SHA-1: it is compared with what the index says, beside TLS, and SHA-256 is kept.
        using IncrementalHash blob = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
#pragma warning restore CA5350
        blob.AppendData(Encoding.ASCII.GetBytes(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"blob {new FileInfo(path).Length}\0")));
        await using FileStream stream = File.OpenRead(path);
        byte[] buffer = new byte[BufferBytes];
        for (int count; (count = await stream.ReadAsync(buffer, cancel)) > 0;)
        {
            sha256.AppendData(buffer, 0, count);
            if (file.HashKind == HashKind.GitBlob) blob.AppendData(buffer, 0, count);
        }
        string whole = Convert.ToHexStringLower(sha256.GetHashAndReset()), shown = file.HashKind == HashKind.GitBlob ? Convert.ToHexStringLower(blob.GetHashAndReset()) : whole;
        return new Hashes(whole, shown, stream.Length == file.Bytes && (file.Hash is null || string.Equals(file.Hash, shown, StringComparison.OrdinalIgnoreCase)));
    }

    private readonly record struct Hashes(string Sha256, string Shown, bool IsRight);
}
