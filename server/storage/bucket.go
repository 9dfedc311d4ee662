package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	// defaultPart is in what pieces a large file is sent: 10000 of them, all that is allowed, are 640 GB.
	defaultPart = 64 << 20

	// MaxLifetime is how long an address of a bucket can be good (AWS Signature Version 4).
	MaxLifetime = 7 * 24 * time.Hour
)

// BucketConfig says where a bucket is and how to get in.
type BucketConfig struct {
	Type     string // s3, gs or oss; it is in paths. Empty: s3
	Endpoint string // http or https URL; empty: that of the type's owner
	Region   string
	Name     string
	Prefix   string // of all keys; may be empty
	Key      string
	Secret   string

	Client   *http.Client // nil: one of the bucket's own
	PartSize int64        // larger files are sent in pieces of so many bytes; 0: 64 MiB
}

// Bucket is a place in a service with the API of S3: Amazon's, Google's and Alibaba's with their keys for that API, or
// one's own.
type Bucket struct {
	kind   string
	name   string
	prefix string
	part   int64
	client *s3.Client
	signer *s3.PresignClient
}

// endpoint is the service's address for a kind of bucket; empty: that of the client.
func (c BucketConfig) endpoint() (string, error) {
	switch {
	case c.Endpoint != "":
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return "", fmt.Errorf("storage: endpoint %q is no http or https URL", c.Endpoint)
		}
		return c.Endpoint, nil
	case c.Type == "s3":
		return "", nil
	case c.Type == "gs":
		return "https://storage.googleapis.com", nil
	case c.Type == "oss" && c.Region != "":
		return "https://oss-" + c.Region + ".aliyuncs.com", nil
	default:
		return "", fmt.Errorf("storage: buckets of type %q are not supported", c.Type)
	}
}

// NewBucket does not connect: what is wrong with the bucket shows when something is put there.
func NewBucket(c BucketConfig) (*Bucket, error) {
	if c.Type == "" {
		c.Type = "s3"
	}
	endpoint, err := c.endpoint()
	if err != nil {
		return nil, err
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.PartSize == 0 {
		c.PartSize = defaultPart
	}
	client := s3.New(s3.Options{
		Region:      c.Region,
		Credentials: credentials.NewStaticCredentialsProvider(c.Key, c.Secret, ""),
		// [Storage] tries again, and longer.
		Retryer: aws.NopRetryer{},
		// Services other than Amazon's do not know the checksums that its own may be sent.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	}, func(o *s3.Options) {
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
			o.UsePathStyle = c.Type != "oss" // one's own has no name for each bucket, and Alibaba's wants one
		}
		if c.Client != nil {
			o.HTTPClient = c.Client
		}
	})
	return &Bucket{kind: c.Type, name: c.Name, prefix: strings.Trim(c.Prefix, "/"), part: c.PartSize, client: client,
		signer: s3.NewPresignClient(client)}, nil
}

// Prefixed says whether all keys have a prefix.
func (b *Bucket) Prefixed() bool { return b.prefix != "" }

// Path implements Place.
func (b *Bucket) Path(key string) string {
	p := b.kind + "://" + b.name + "/"
	if b.prefix != "" {
		p += b.prefix + "/"
	}
	return p + key
}

func (b *Bucket) object(key string) *string {
	object := path.Join(b.prefix, key)
	return &object
}

// Put implements Place.
func (b *Bucket) Put(ctx context.Context, key, source string) error {
	f, err := os.Open(source)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	kind := contentType(key)
	if info.Size() > b.part {
		err = b.putParts(ctx, b.object(key), kind, f, info.Size())
	} else {
		_, err = b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: b.object(key), ContentType: &kind, Body: f})
	}
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// putParts sends a large file in pieces. Of one that fails the service forgets all.
func (b *Bucket) putParts(ctx context.Context, object *string, kind string, f io.ReaderAt, size int64) error {
	begun, err := b.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &b.name, Key: object, ContentType: &kind})
	if err != nil {
		return err
	}
	done, err := func() (parts []types.CompletedPart, err error) {
		for at := int64(0); at < size; at += b.part {
			n := int32(len(parts) + 1)
			sent, err := b.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &b.name, Key: object, UploadId: begun.UploadId, PartNumber: &n,
				Body: io.NewSectionReader(f, at, min(b.part, size-at))})
			if err != nil {
				return nil, err
			}
			parts = append(parts, types.CompletedPart{ETag: sent.ETag, PartNumber: &n})
		}
		return parts, nil
	}()
	if err == nil {
		_, err = b.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &b.name, Key: object, UploadId: begun.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: done}})
	}
	if err == nil {
		return nil
	}
	// Also when ctx has ended; what is left over here, the bucket's own rules remove.
	bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_, left := b.client.AbortMultipartUpload(bound, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: object, UploadId: begun.UploadId})
	return errors.Join(err, left)
}

// Write puts a small file there that is in memory, and says how long caches may keep it.
func (b *Bucket) Write(ctx context.Context, key, contentType, cacheControl string, body []byte) error {
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: b.object(key), ContentType: &contentType,
		CacheControl: &cacheControl, Body: bytes.NewReader(body)})
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// Read returns a file of at most so many bytes; [fs.ErrNotExist] if there is none.
func (b *Bucket) Read(ctx context.Context, key string, most int) ([]byte, error) {
	got, err := b.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: b.object(key)})
	var missing *types.NoSuchKey
	switch {
	case errors.As(err, &missing):
		return nil, fmt.Errorf("storage: %s: %w", key, fs.ErrNotExist)
	case err != nil:
		return nil, fmt.Errorf("storage: %w", err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(io.LimitReader(got.Body, int64(most)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("storage: %w", err)
	case len(body) > most:
		return nil, fmt.Errorf("storage: %s has more than %d bytes", key, most)
	}
	return body, nil
}

// Delete removes a file, if it is there.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if _, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: b.object(key)}); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	return nil
}

// URL implements Place. It does not talk to the service.
func (b *Bucket) URL(ctx context.Context, key string, lifetime time.Duration) (string, error) {
	r, err := b.signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: b.object(key)},
		s3.WithPresignExpires(min(lifetime, MaxLifetime)))
	if err != nil {
		return "", fmt.Errorf("storage: %w", err)
	}
	return r.URL, nil
}
