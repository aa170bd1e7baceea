namespace Qanat.Models;

/// <summary>A model file cannot be used. The message names the file, the key or tensor, and what is wrong with it.</summary>
public sealed class ModelFileException : Exception
{
    /// <param name="path">The file.</param>
    /// <param name="problem">The key or tensor and what is wrong, as a sentence part without the file's name.</param>
    /// <param name="inner">The cause, when another exception told of it.</param>
    public ModelFileException(string path, string problem, Exception? inner = null) : base($"{path}: {problem}", inner)
    {
        Path = path;
        Problem = problem;
    }

    public string Path { get; }
    public string Problem { get; }
}
